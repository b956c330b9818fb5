// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// redirectLimits says which redirected frames an interface takes.
type redirectLimits struct {
	longest uint32 // the longest frame, in bytes
	whole   bool   // it takes no frame of several buffers
	none    bool   // it takes none
	help    string // with none: the end of a sentence, what makes it take some
	stretch uint32 // bytes to which a fault may lengthen a frame
	unknown bool   // the kernel does not tell whether it takes any
}

// stretchLimit is the number of bytes to which a fault may lengthen a frame between two ports.
func stretchLimit(a, b port.Facts) uint32 { return uint32(14 + min(a.MTU, b.MTU)) }

// examineLocked finds out which frames cannot leave by a redirect, so that they are diverted, if
// possible before one is lost.
func (f *fastPath) examineLocked() {
	if len(f.ports) != 2 {
		return
	}
	for i := range f.ports {
		f.denyLocked(i, f.refusal(i))
	}
}

// sayUnknown logs which veths may refuse redirected frames without anybody knowing before. That costs the first
// frames.
func (f *fastPath) sayUnknown() {
	for i, in := range f.ports {
		if !f.limits[i].unknown || f.denied[i] != "" {
			continue
		}
		if out := f.ports[1-i]; out.Facts().Driver == "veth" {
			f.logf("port %s: fast path: this kernel, before Linux 6.3, does not tell whether port %s takes redirected frames; if it does not, the first ones, at most %d, are lost%s; or start with --fastpath=false",
				in.Name(), out.Name(), redirectBulk, out.nic.TakeRedirects())
		}
	}
}

// redirectBulk is the number of frames that the kernel collects before it gives them to a driver (DEV_MAP_BULK_SIZE).
const redirectBulk = 16

// refusal says why frames received on port i cannot leave by a redirect to the other one; "" if
// they can.
func (f *fastPath) refusal(i int) string {
	in, out := f.ports[i], f.ports[1-i]
	facts, to := in.Facts(), out.Name()
	l, r := &f.limits[i], out.nic.Redirects()
	l.stretch = stretchLimit(facts, out.Facts())
	if l.none, l.help = r.Known && !r.Taken, ""; l.none {
		l.help = out.nic.TakeRedirects()
	}
	if facts.Mode == port.ZeroCopy {
		return fmt.Sprintf("port %s: with zero-copy a thread forwards without a copy, and a redirect in the kernel would copy", facts.Name)
	}
	l.longest, l.whole, l.unknown = min(r.Longest, in.nic.Untold()), r.Known && !r.Buffers, !r.Known
	if l.none {
		f.lacked[i] = true
		return fmt.Sprintf("port %s takes no redirected frames%s", to, l.help)
	}
	if f.silent[i].found {
		return fmt.Sprintf("port %s: the driver (%s) does not tell what becomes of redirected frames; fastpath.enable tries again", facts.Name, facts.Driver)
	}
	var errno unix.Errno
	if f.path != nil {
		errno, _ = f.path.Refused(i)
	}
	// A port that refused frames because it lacked something gets them again once it has it.
	if errno != 0 && (!r.Known || !f.lacked[i] || f.path.Accept(i) != nil) {
		return fmt.Sprintf("port %s refused redirected frames (%s)%s; then fastpath.enable", to, unix.ErrnoName(errno), out.nic.TakeRedirects())
	}
	f.lacked[i] = false
	return ""
}

// silence says whether the kernel reports what becomes of frames that were received on a port and
// redirected. A TAP device whose user limits the bytes under way (QEMU's sndbuf) hands all frames
// to the program in generic mode, and then there are no reports: see nic.Port.Untold.
type silence struct {
	looked    bool
	forwarded uint64 // until the last look
	missing   uint64 // frames without a report at the first look, which were under way when programs were exchanged
	found     bool   // more frames had no report since then than can be under way
}

// underway is more than the number of frames that can be without a report a second after they were
// forwarded, apart from those that were under way while programs were exchanged.
const underway = 64

// listen compares the frames that were forwarded with the reports about them.
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
		missing := s.forwarded - min(s.forwarded, told) // at least so many, since frames that are under way now came later
		switch {
		case !s.looked:
			s.missing = forwarded - min(forwarded, told)
		case missing > s.missing+underway:
			s.found = true
		}
		s.looked, s.forwarded = true, forwarded
	}
}

// denyLocked notes why frames received on a port are diverted; "" means that they need not be. It
// logs changes.
func (f *fastPath) denyLocked(number int, why string) {
	if before := f.denied[number]; why != before {
		f.denied[number] = why
		if why == "" {
			why = "in use again"
		}
		f.logf("port %s: fast path: %s", f.ports[number].Name(), why)
	}
}

// adapt changes the rules when the interfaces take other redirected frames than before.
func (f *fastPath) adapt() {
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
	if f.bypass.state == ownPins {
		f.sayCut()
	}
	if err != nil {
		f.why = err.Error()
		if f.bypass.deadAfter > 0 {
			f.bypass.why = err.Error()
		}
		f.logf("fast path: switched off: %v", errors.Join(err, f.disengage()))
	}
}
