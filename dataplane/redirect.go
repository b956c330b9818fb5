package dataplane

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/genl"
)

// taken is what an interface takes of frames that are redirected to it in the kernel.
type taken struct {
	longest uint32 // bytes of a frame
	whole   bool   // none of several buffers
}

// examine finds out by which ports frames cannot leave, and which ones, so that those are
// diverted, if possible before one is lost. The caller holds mu and update.
func (e *Engine) examine() {
	if len(e.ports) != 2 {
		return
	}
	for i := range e.ports {
		out := e.ports[1-i]
		if e.ports[i].mode == zeroCopy {
			e.deny(i, fmt.Sprintf("port %s: with zero-copy a thread copies nothing, and a redirect in the kernel would", e.ports[i].name))
			continue
		}
		xmit, buffers, known := takesRedirected(out.index)
		e.fast.takes[i] = taken{longest: min(out.limits.redirect, e.ports[i].untold()), whole: known && !buffers}
		if known && !xmit {
			e.fast.lacked[i] = true
			e.deny(i, fmt.Sprintf("port %s takes no redirected frames%s", out.name, out.mend()))
			continue
		}
		if e.fast.silent[i].found {
			e.deny(i, fmt.Sprintf("port %s: the driver (%s) does not tell what becomes of redirected frames; fastpath.enable tries again", e.ports[i].name, e.ports[i].driver))
			continue
		}
		var errno unix.Errno
		if e.fast.path != nil {
			errno, _ = e.fast.path.Refused(i)
		}
		// What was refused because it lacked something that it has now is taken again.
		if errno != 0 && (!known || !e.fast.lacked[i] || e.fast.path.Accept(i) != nil) {
			e.deny(i, fmt.Sprintf("port %s refused redirected frames (%s)%s; then fastpath.enable", out.name, unix.ErrnoName(errno), out.mend()))
			continue
		}
		e.fast.lacked[i] = false
		e.deny(i, "")
	}
}

// untold returns from how many bytes on a driver gives frames to the program in generic mode,
// though it is attached in native mode: what becomes of those when they are redirected is
// not told. A TAP device does so with frames that need more than a page.
func (p *port) untold() uint32 {
	if p.driver == "tun" {
		return uint32(os.Getpagesize() - 1024) // what the kernel takes off is 386 bytes in 6.18
	}
	return math.MaxUint32
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

// listen finds out whether it is told what becomes of frames. The caller holds mu and update.
func (e *Engine) listen() {
	all, err := e.fast.stats.Read()
	if err != nil {
		return
	}
	for i := range e.ports {
		s := &e.fast.silent[i]
		var forwarded, told uint64
		for q := range all[i] {
			c := &all[i][q]
			forwarded += c.Forwarded
			told += c.Forwarded - c.Held()
		}
		missing := s.forwarded - min(s.forwarded, told) // at least: who is on the way now came later
		switch {
		case !s.looked:
			s.missing = forwarded - min(forwarded, told)
		case missing > s.missing+underway:
			s.found = true
		}
		s.looked, s.forwarded = true, forwarded
	}
}

// deny notes why frames received on a port are diverted, or that they need not be.
func (e *Engine) deny(port int, why string) {
	if before := e.fast.denied[port]; why != before {
		e.fast.denied[port] = why
		if why == "" {
			why = "in use again"
		}
		e.config.Logf("port %s: fast path: %s", e.ports[port].name, why)
	}
}

// watchFast follows what interfaces take. The caller holds mu.
func (e *Engine) watchFast() {
	if e.fast.path == nil {
		return
	}
	e.update.Lock()
	denied, takes := e.fast.denied, e.fast.takes
	e.listen()
	e.examine()
	var err error
	if e.fast.denied != denied || e.fast.takes != takes {
		err = e.apply(false)
	}
	e.update.Unlock()
	if err != nil {
		e.fast.why = err.Error()
		if e.fast.bypass.after > 0 {
			e.fast.bypass.why = err.Error()
		}
		e.config.Logf("fast path: switched off: %v", errors.Join(err, e.disengage()))
	}
}

// mend returns the command that makes a port take redirected frames, if there is one.
func (p *port) mend() string {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil || l.Type() != "veth" {
		return ""
	}
	// It is looked up once: this is asked every second, as long as it lasts.
	if a := l.Attrs(); p.other.index != a.ParentIndex || p.other.nsid != a.NetNsID || p.other.name == "" {
		p.other, _ = peerOf(l)
	}
	return ": " + p.other.ethtool("gro on")
}

// Of the kernel's netdev protocol (6.3 and later).
const (
	netdevCommandGet  = 1
	netdevIndex       = 1
	netdevXDPFeatures = 3
	netdevFlagXmit    = 1 << 2 // NETDEV_XDP_ACT_NDO_XMIT
	netdevFlagXmitSG  = 1 << 6 // NETDEV_XDP_ACT_NDO_XMIT_SG
)

// takesRedirected says whether a driver takes frames that are redirected to its
// interface, and those of several buffers too; a veth does so when its other end has NAPI
// on. Older kernels do not know.
func takesRedirected(index int) (xmit, buffers, known bool) {
	family, err := genl.Family("netdev")
	if err != nil {
		return false, false, false
	}
	attrs, err := ask(family, netdevCommandGet, 1, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	if v := attrs[netdevXDPFeatures]; err == nil && len(v) == 8 {
		flags := nl.NativeEndian().Uint64(v)
		return flags&netdevFlagXmit != 0, flags&netdevFlagXmitSG != 0, true
	}
	return false, false, false
}
