// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Mode says how frames get from the driver to the UMEM and back.
type Mode uint8

// Auto uses zero-copy if the driver has it and copies otherwise.
const (
	Auto Mode = iota
	Copy
	ZeroCopy
)

// Options describe a socket.
type Options struct {
	Interface int // index
	Queue     int
	Mode      Mode // with Share the mode is that of the first socket
	// Share makes the socket use the UMEM through the first socket that was opened on it, which
	// has to be bound. Without Share the memory is registered (again) for this socket alone.
	// Addresses are equal in both cases, so frames may pass between all sockets of a UMEM.
	Share bool
	// MultiBuffer makes frames longer than a chunk occupy several entries, in both directions.
	// With Share it is that of the first socket.
	MultiBuffer bool
	// Sizes of the rings in entries, powers of two.
	Fill, Completion, RX, TX int
	// Budget is the largest number of frames that one Kick transmits by copy, if the kernel can
	// be told (6.17 and later; before that it is 32).
	Budget int
}

// sendBuffer bounds the memory of frames that are being transmitted by copy: about 2.5 KiB each
// at 1500 bytes, more than a TX ring of 2048 needs.
const sendBuffer = 16 << 20

// bindPatience is how long a queue may stay busy: the kernel releases the queue of a closed
// socket asynchronously.
const bindPatience = 2 * time.Second

// Socket is an AF_XDP socket on one queue of one interface.
type Socket struct {
	Fill       FillRing
	Completion CompletionRing
	RX         RXRing
	TX         TXRing

	fd       int
	umem     *UMEM
	options  Options
	maps     [][]byte
	bound    bool
	zeroCopy bool
	polled   atomic.Bool // BusyPoll is on
	kernel   *Kernel     // of a simulated socket; otherwise nil
}

// Open makes a socket with its rings. It receives nothing before Bind. Frames should be put in
// its fill ring before, since some drivers hang on an empty one.
func Open(u *UMEM, o Options) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("af_xdp socket: %w", err)
	}
	s := &Socket{fd: fd, umem: u, options: o}
	u.users++
	if err := s.setup(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Socket) setup() error {
	o := s.options
	if o.Share {
		if s.umem.owner == nil || !s.umem.owner.bound {
			return errors.New("umem: shared before its first socket is bound")
		}
	} else {
		if err := registerUMEM(s.fd, s.umem); err != nil {
			return fmt.Errorf("register umem of %d bytes: %w", len(s.umem.mem), err)
		}
		if s.umem.owner == nil {
			s.umem.owner = s
		}
	}
	for _, r := range []struct {
		option, size int
		name         string
	}{
		{unix.XDP_UMEM_FILL_RING, o.Fill, "fill"},
		{unix.XDP_UMEM_COMPLETION_RING, o.Completion, "completion"},
		{unix.XDP_RX_RING, o.RX, "rx"},
		{unix.XDP_TX_RING, o.TX, "tx"},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.option, r.size); err != nil {
			return fmt.Errorf("%s ring of %d entries: %w", r.name, r.size, err)
		}
	}
	if err := s.mapRings(); err != nil {
		return err
	}
	// Both settings only make transmission by copy faster, so it is no error if the kernel or the
	// rights lack them. SO_SNDBUFFORCE exceeds the limit of wmem_max.
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	if o.Budget > 0 {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, o.Budget)
	}
	return nil
}

func (s *Socket) mapRings() error {
	off, err := mmapOffsets(s.fd)
	if err != nil {
		return fmt.Errorf("ring offsets: %w", err)
	}
	at := func(r unix.XDPRingOffset) layout {
		return layout{producer: r.Producer, consumer: r.Consumer, flags: r.Flags, entries: r.Desc}
	}
	o := s.options
	if s.Fill, err = mapped(s, newFillRing, unix.XDP_UMEM_PGOFF_FILL_RING, at(off.Fr), o.Fill, 8); err != nil {
		return fmt.Errorf("fill ring: %w", err)
	}
	if s.Completion, err = mapped(s, newCompletionRing, unix.XDP_UMEM_PGOFF_COMPLETION_RING, at(off.Cr), o.Completion, 8); err != nil {
		return fmt.Errorf("completion ring: %w", err)
	}
	if s.RX, err = mapped(s, newRXRing, unix.XDP_PGOFF_RX_RING, at(off.Rx), o.RX, 16); err != nil {
		return fmt.Errorf("rx ring: %w", err)
	}
	if s.TX, err = mapped(s, newTXRing, unix.XDP_PGOFF_TX_RING, at(off.Tx), o.TX, 16); err != nil {
		return fmt.Errorf("tx ring: %w", err)
	}
	return nil
}

// mapped maps one ring of s at the kernel's offset and makes it.
func mapped[R any](s *Socket, build func([]byte, layout, uint32) (R, error), offset int64, l layout, size int, entry uintptr) (R, error) {
	var none R
	mem, err := unix.Mmap(s.fd, offset, int(l.bytes(uint32(size), entry)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return none, fmt.Errorf("mmap: %w", err)
	}
	s.maps = append(s.maps, mem)
	return build(mem, l, uint32(size))
}

// Bind binds the socket to its queue. If the queue is busy, it tries again for about two seconds.
// The error is unix.EBUSY if it stays busy, and unix.EOPNOTSUPP or unix.EINVAL if the driver
// lacks the mode.
func (s *Socket) Bind() error {
	sa := &unix.SockaddrXDP{Ifindex: uint32(s.options.Interface), QueueID: uint32(s.options.Queue)}
	switch {
	case s.options.Share: // exactly this flag: the others are inherited, and refused here
		sa.Flags = unix.XDP_SHARED_UMEM
		sa.SharedUmemFD = uint32(s.umem.owner.fd)
	case s.options.Mode == Copy:
		sa.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY
	case s.options.Mode == ZeroCopy:
		sa.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	default:
		sa.Flags = unix.XDP_USE_NEED_WAKEUP
	}
	if s.options.MultiBuffer && !s.options.Share {
		sa.Flags |= unix.XDP_USE_SG
	}
	deadline := time.Now().Add(bindPatience)
	for {
		err := unix.Bind(s.fd, sa)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("bind to queue %d: %w", s.options.Queue, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.bound = true
	flags, err := bindFlags(s.fd)
	if err != nil {
		return fmt.Errorf("mode of queue %d: %w", s.options.Queue, err)
	}
	s.zeroCopy = flags&unix.XDP_OPTIONS_ZEROCOPY != 0
	return nil
}

// FD returns the descriptor, for maps and for poll.
func (s *Socket) FD() int { return s.fd }

// ZeroCopy says whether a bound socket works without copying.
func (s *Socket) ZeroCopy() bool { return s.zeroCopy }

// Kick makes the kernel transmit from the TX ring. A socket that copies transmits up to its
// budget of frames before Kick returns. Besides 0 it returns:
//
//	EAGAIN     budget used up, completion ring or send buffer full, device busy: try again
//	EBUSY      copying: the device dropped the frame taken last; it completes like one sent
//	ENETDOWN   the interface is down; nothing was taken
//	ENXIO      the queue or the interface is gone
//	ENOBUFS    no memory
//
// The call never blocks, so it bypasses the Go scheduler (535 instead of 733 ns measured).
func (s *Socket) Kick() unix.Errno {
	if s.kernel != nil {
		return s.kernel.kick()
	}
	errno := kick(s.fd)
	if errno == 0 && s.zeroCopy && s.polled.Load() && s.TX.Taken() != s.TX.next && s.TX.NeedWakeup() {
		// The call has polled the NAPI of reception, and nothing was sent: this driver sends in another
		// one, which sendto does not wake for a socket that prefers busy polling (xsk_no_wakeup in
		// net/xdp/xsk.c). poll does (xsk_poll).
		return pollOnce(s.fd)
	}
	return errno
}

// Wake makes the kernel go on with reception; it is needed only if Fill.NeedWakeup, or with
// BusyPoll. It never blocks.
func (s *Socket) Wake() unix.Errno {
	if s.kernel != nil {
		return 0
	}
	return wake(s.fd)
}

// busyTime is the time in microseconds that the kernel would poll during a call that waits. Ours
// do not wait, but with 0 the kernel does not poll at all.
const busyTime = 20

// BusyPoll switches on or off that Wake and Kick do the work of the device's driver, up to budget
// frames per call (SO_PREFER_BUSY_POLL, Linux 5.11 and later). It needs CAP_NET_ADMIN. What is
// polled is the NAPI of the queue's reception. With zero-copy, virtio_net sends in another one, and so
// does igb unless it has so many queues that two share an interrupt: there Kick takes a second system
// call, as long as the queue's reception has not sent all by itself.
func (s *Socket) BusyPoll(on bool, budget int) error {
	if s.kernel != nil {
		return nil
	}
	prefer, time := 0, 0
	if on {
		prefer, time = 1, busyTime
	}
	s.polled.Store(on)
	for _, o := range []struct{ option, value int }{
		{unix.SO_PREFER_BUSY_POLL, prefer}, {unix.SO_BUSY_POLL, time}, {unix.SO_BUSY_POLL_BUDGET, budget},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o.option, o.value); err != nil {
			return fmt.Errorf("busy polling: %w", err)
		}
	}
	return nil
}

// Removed says whether the interface has disappeared: the kernel then unbinds its sockets and
// leaves an error in each, once.
func (s *Socket) Removed() bool {
	if s.kernel != nil {
		return s.kernel.Removed.Load()
	}
	soerr, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return err == nil && soerr != 0
}

// Ended says whether no frame will come any more, which only a Kernel knows of its frames.
func (s *Socket) Ended() bool { return s.kernel != nil && s.kernel.Ended.Load() }

// Simulated says whether the socket belongs to a Kernel.
func (s *Socket) Simulated() bool { return s.kernel != nil }

// Statistics returns the kernel's counters of the socket since it was opened.
func (s *Socket) Statistics() (unix.XDPStatistics, error) {
	if s.kernel != nil {
		return s.kernel.statistics(), nil
	}
	st, err := statistics(s.fd)
	if err != nil {
		return st, fmt.Errorf("xdp statistics: %w", err)
	}
	return st, nil
}

// Close unmaps the rings and closes the socket. A mapping holds the socket just as the descriptor
// does: if one stayed, the queue would stay busy.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	var errs []error
	for _, m := range s.maps {
		if err := unix.Munmap(m); err != nil {
			errs = append(errs, fmt.Errorf("munmap ring: %w", err))
		}
	}
	if err := unix.Close(s.fd); err != nil {
		errs = append(errs, fmt.Errorf("close af_xdp socket: %w", err))
	}
	s.maps, s.fd, s.bound = nil, -1, false
	s.Fill, s.Completion, s.RX, s.TX = FillRing{}, CompletionRing{}, RXRing{}, TXRing{}
	if s.umem.owner == s {
		s.umem.owner = nil
	}
	s.umem.users--
	return errors.Join(errs...)
}
