// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	receiveBuffer = 64 << 20 // bytes; about 80,000 small frames
	maxFrame      = 256 << 10
	sendPatience  = 5 * time.Second
)

// htons turns a number into the byte order of the wire.
func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// packetSocket opens an AF_PACKET socket bound to a link of the namespace.
func (n *Namespace) packetSocket(link string, protocol uint16, prepare func(fd int) error) (int, error) {
	fd := -1
	err := n.Do(func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		// Protocol 0: nothing is received before the socket is bound.
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		err = prepare(fd)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(protocol), Ifindex: ifi.Index})
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("packet socket on %s: %w", link, err)
		}
		return nil
	})
	return fd, err
}

// Sender sends frames on a link byte for byte. It is not for concurrent use.
type Sender struct {
	link   string
	fd     int
	steady bool // it sends on the first CPU only: see StayOnCPUs
}

// NewSender opens a sender on a link. With bypass it goes around the queueing
// discipline (PACKET_QDISC_BYPASS). It is closed when the test ends.
func (n *Namespace) NewSender(link string, bypass bool) *Sender {
	n.t.Helper()
	fd, err := n.packetSocket(link, 0, func(fd int) error {
		wait := unix.NsecToTimeval(sendPatience.Nanoseconds())
		err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait)
		if err == nil && bypass {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
		}
		return err
	})
	n.must(err)
	s := &Sender{link: link, fd: fd, steady: len(StayOnCPUs(n.t, 1)) > 0}
	n.t.Cleanup(func() { s.Close() })
	return s
}

// Send sends frames in order, each from its first MAC address to its last
// byte without the checksum: 14 bytes at least, 18 more than the MTU at most,
// and then only with a VLAN tag. A frame that finds the far end's ring full is
// sent again until there is room, for some seconds.
func (s *Sender) Send(frames ...[]byte) (err error) {
	if s.steady {
		back, failed := Pin(0)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, back()) }()
	}
	for i, frame := range frames {
		deadline := time.Now().Add(sendPatience)
		for {
			_, err := unix.Write(s.fd, frame)
			if err == nil {
				break
			}
			full := errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN)
			if errors.Is(err, unix.EINTR) || full && time.Now().Before(deadline) {
				if full {
					time.Sleep(50 * time.Microsecond)
				}
				continue
			}
			return fmt.Errorf("send on %s: frame %d of %d bytes: %w", s.link, i, len(frame), err)
		}
	}
	return nil
}

// Close closes the socket. Closing twice is no error.
func (s *Sender) Close() error {
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}

// Receiver receives every frame that comes in at a link, from the moment it is
// opened, VLAN tags included; frames that leave by the link it does not see.
// The kernel throws away a frame with a VLAN tag and fewer than 20 bytes
// before any socket can have it.
type Receiver struct {
	link  string
	first *os.File // a socket that nobody reads: see NewReceiver
	file  *os.File
	raw   syscall.RawConn
	frame []byte
	oob   []byte

	mu    sync.Mutex
	drops uint64
}

// NewReceiver opens a receiver on a link, with a buffer for some ten thousand
// frames. It is closed when the test ends.
func (n *Namespace) NewReceiver(link string) *Receiver {
	n.t.Helper()
	// Of frames that the kernel takes in a list, as those of NICs and of veths with GRO, the socket that was
	// opened first gets those of protocols that nobody else takes when the list is over, and so behind later
	// ones. Let that be another.
	first, err := n.packetSocket(link, unix.ETH_P_ALL, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // the least: nobody reads it
	})
	n.must(err)
	fd, err := n.packetSocket(link, unix.ETH_P_ALL, func(fd int) error {
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
			unix.SetNonblock(fd, true), // deadlines need the poller
		)
	})
	n.must(err)
	r := &Receiver{
		link:  link,
		first: os.NewFile(uintptr(first), "first socket on "+link),
		file:  os.NewFile(uintptr(fd), "receiver on "+link),
		frame: make([]byte, maxFrame),
		oob:   make([]byte, 256),
	}
	n.t.Cleanup(func() { r.Close() })
	r.raw, err = r.file.SyscallConn()
	n.must(err)
	return r
}

// Receive returns the next frame, waiting until the deadline for it; without
// one the error is os.ErrDeadlineExceeded. It is not for concurrent use, but
// Close from elsewhere ends it.
func (r *Receiver) Receive(deadline time.Time) ([]byte, error) {
	if err := r.file.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("receive on %s: %w", r.link, err)
	}
	for {
		var size, oobSize, flags int
		var from unix.Sockaddr
		var failed error
		err := r.raw.Read(func(fd uintptr) bool {
			size, oobSize, flags, from, failed = unix.Recvmsg(int(fd), r.frame[4:], r.oob, unix.MSG_TRUNC)
			return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
		})
		if err == nil {
			err = failed
		}
		if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			err = fmt.Errorf("frame of %d bytes is too large", size)
		}
		if err != nil {
			return nil, fmt.Errorf("receive on %s: %w", r.link, err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		return r.withTag(size, r.oob[:oobSize])
	}
}

// withTag copies the received frame and puts the outermost VLAN tag back, which
// the kernel takes out of every frame before a packet socket sees it.
func (r *Receiver) withTag(size int, oob []byte) ([]byte, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive on %s: auxdata: %w", r.link, err)
	}
	frame := r.frame[4 : 4+size]
	for _, m := range messages {
		// struct tpacket_auxdata: status, len, snaplen u32; mac, net,
		// vlan_tci, vlan_tpid u16.
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		if status&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		tpid := uint16(unix.ETH_P_8021Q)
		if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			tpid = binary.NativeEndian.Uint16(m.Data[18:])
		}
		frame = r.frame[:4+size]
		copy(frame, frame[4:16])
		binary.BigEndian.PutUint16(frame[12:], tpid)
		binary.BigEndian.PutUint16(frame[14:], binary.NativeEndian.Uint16(m.Data[16:]))
	}
	return append([]byte(nil), frame...), nil
}

// Collect receives until it has n frames or the time is over, and returns what
// came. Choose a generous time: it is only used up when frames are missing.
func (r *Receiver) Collect(n int, atMost time.Duration) ([][]byte, error) {
	deadline := time.Now().Add(atMost)
	var frames [][]byte
	for len(frames) < n {
		frame, err := r.Receive(deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

// Drops tells how many frames this socket could not take since it was opened.
func (r *Receiver) Drops() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stats *unix.TpacketStats
	var failed error
	// The kernel starts again at 0 with every answer.
	err := r.raw.Control(func(fd uintptr) {
		stats, failed = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, failed); err != nil {
		return r.drops, fmt.Errorf("receiver on %s: %w", r.link, err)
	}
	r.drops += uint64(stats.Drops)
	return r.drops, nil
}

// Close closes the sockets. Closing twice is no error.
func (r *Receiver) Close() error {
	for _, f := range []*os.File{r.file, r.first} {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	return nil
}
