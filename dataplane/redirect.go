package dataplane

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// redirectLimits is what an interface takes of frames that are redirected to it in the kernel.
type redirectLimits struct {
	longest uint32 // bytes of a frame
	whole   bool   // none of several buffers
}

// examineLocked finds out by which ports frames cannot leave, and which ones, so that those are
// diverted, if possible before one is lost.
func (f *fastPath) examineLocked() {
	if len(f.ports) != 2 {
		return
	}
	for i := range f.ports {
		f.denyLocked(i, f.refusal(i))
	}
}

// refusal says why frames received on a port cannot leave by a redirect to the other one; "" if
// they can.
func (f *fastPath) refusal(i int) string {
	in, out := f.ports[i], f.ports[1-i]
	facts, to := in.Facts(), out.Name()
	if facts.Mode == port.ZeroCopy {
		return fmt.Sprintf("port %s: with zero-copy a thread copies nothing, and a redirect in the kernel would", facts.Name)
	}
	r := out.nic.Redirects()
	f.limits[i] = redirectLimits{longest: min(r.Longest, in.nic.Untold()), whole: r.Known && !r.Buffers}
	if r.Known && !r.Taken {
		f.lacked[i] = true
		return fmt.Sprintf("port %s takes no redirected frames%s", to, out.nic.TakeRedirects())
	}
	if f.silent[i].found {
		return fmt.Sprintf("port %s: the driver (%s) does not tell what becomes of redirected frames; fastpath.enable tries again", facts.Name, facts.Driver)
	}
	var errno unix.Errno
	if f.path != nil {
		errno, _ = f.path.Refused(i)
	}
	// What was refused because it lacked something that it has now is taken again.
	if errno != 0 && (!r.Known || !f.lacked[i] || f.path.Accept(i) != nil) {
		return fmt.Sprintf("port %s refused redirected frames (%s)%s; then fastpath.enable", to, unix.ErrnoName(errno), out.nic.TakeRedirects())
	}
	f.lacked[i] = false
	return ""
}

// silence is what is known of frames received on a port that were forwarded in the kernel and of
// which nothing more was heard. A TAP device whose user bounds what it sends (QEMU's sndbuf)
// gives all frames to the program in generic mode: see untold.
type silence struct {
	looked    bool
	forwarded uint64 // until the last look
	missing   uint64 // of these, at the first look: what was under way when programs were exchanged
	found     bool   // there were more since than can be under way
}

// underway is more frames than can be under way a second after they were forwarded, when
// some were sent while programs were exchanged.
const underway = 64

// listen finds out whether it is told what becomes of frames.
func (f *fastPath) listen() {
	all, err := f.stats.Read()
	if err != nil {
		return
	}
	for i := range f.ports {
		s := &f.silent[i]
		var forwarded, told uint64
		for q := range all[i] {
			c := &all[i][q]
			forwarded += c.Forwarded
			told += c.Forwarded - c.Held()
		}
		missing := s.forwarded - min(s.forwarded, told) // at least: frames that are on the way now came later
		switch {
		case !s.looked:
			s.missing = forwarded - min(forwarded, told)
		case missing > s.missing+underway:
			s.found = true
		}
		s.looked, s.forwarded = true, forwarded
	}
}

// denyLocked notes why frames received on a port are diverted, or that they need not be.
func (f *fastPath) denyLocked(number int, why string) {
	if before := f.denied[number]; why != before {
		f.denied[number] = why
		if why == "" {
			why = "in use again"
		}
		f.logf("port %s: fast path: %s", f.ports[number].Name(), why)
	}
}

// follow follows what interfaces take.
func (f *fastPath) follow() {
	if f.path == nil {
		return
	}
	f.update.Lock()
	denied, takes := f.denied, f.limits
	f.listen()
	f.examineLocked()
	var err error
	if f.denied != denied || f.limits != takes {
		err = f.applyLocked(false)
	}
	f.update.Unlock()
	if err != nil {
		f.why = err.Error()
		if f.bypass.after > 0 {
			f.bypass.why = err.Error()
		}
		f.logf("fast path: switched off: %v", errors.Join(err, f.disengage()))
	}
}
