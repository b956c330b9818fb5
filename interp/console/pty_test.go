package console

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// patience is how long tests wait for an event. When it has passed, the test fails.
const patience = 20 * time.Second

// pty is a terminal that a test uses.
type pty struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu   sync.Mutex
	cond *sync.Cond
	out  []byte // output since the last expect
	vt   *vt    // the screen
	end  bool

	patience time.Duration // if it differs from patience
}

func openPty(t *testing.T, cols uint16) *pty {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, master: os.NewFile(uintptr(m), "ptmx"), slave: os.NewFile(uintptr(s), fmt.Sprintf("/dev/pts/%d", n))}
	p.cond = sync.NewCond(&p.mu)
	p.vt = newVT(cmp.Or(int(cols), 80), 24)
	if err := unix.IoctlSetWinsize(s, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: cols}); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := unix.Read(m, buf)
			if err == unix.EINTR {
				continue
			}
			p.mu.Lock()
			if n > 0 {
				p.out = append(p.out, buf[:n]...)
				p.vt.write(buf[:n])
			}
			p.end = err != nil || n <= 0
			ended := p.end
			p.cond.Broadcast()
			p.mu.Unlock()
			if ended { // EIO: the last slave is closed
				p.master.Close()
				return
			}
		}
	}()
	t.Cleanup(func() { p.slave.Close() })
	return p
}

func (p *pty) typed(s string) {
	p.t.Helper()
	if _, err := unix.Write(int(p.master.Fd()), []byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// expect waits until want is on the screen, consumes everything up to its end, and returns the
// text before it. Escape sequences are removed first.
func (p *pty) expect(want string) string {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.end = true
		p.cond.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		text, ends := plainText(p.out)
		if i := strings.Index(text, want); i >= 0 {
			p.out = p.out[ends[i+len(want)-1]:]
			return text[:i]
		}
		if p.end {
			p.t.Fatalf("no %q on the screen: …%q", want, p.out[max(0, len(p.out)-400):])
		}
		p.cond.Wait()
	}
}

// expectRaw is expect for all bytes, including sequences.
func (p *pty) expectRaw(want string) {
	p.t.Helper()
	p.until(fmt.Sprintf("what is written with %q", want), func(*vt) bool {
		i := bytes.Index(p.out, []byte(want))
		if i >= 0 {
			p.out = p.out[i+len(want):]
		}
		return i >= 0
	})
}

// plainText drops escape sequences, carriage returns and dim text; ends maps every byte that is
// kept to the place after it.
func plainText(b []byte) (string, []int) {
	var text []byte
	var ends []int
	for i := 0; i < len(b); i++ {
		if rest, ok := bytes.CutPrefix(b[i:], []byte(dimStyle)); ok {
			if n := bytes.Index(rest, []byte(noStyle)); n >= 0 {
				i += len(dimStyle) + n + len(noStyle) - 1
				continue
			}
		}
		if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '[' {
			j := i + 2
			for j < len(b) && !(b[j] >= '@' && b[j] <= '~') {
				j++
			}
			i = j
			continue
		}
		if b[i] == '\r' {
			continue
		}
		text = append(text, b[i])
		ends = append(ends, i+1)
	}
	return string(text), ends
}

func (p *pty) termios() unix.Termios {
	p.t.Helper()
	tio, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *tio
}

func (p *pty) setTermios(tio unix.Termios) {
	p.t.Helper()
	if err := unix.IoctlSetTermios(int(p.slave.Fd()), unix.TCSETS, &tio); err != nil {
		p.t.Fatal(err)
	}
}

// shell writes to the screen as another program would.
func (p *pty) shell(text string) {
	p.t.Helper()
	if _, err := p.slave.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// testDict returns a dictionary with a few words for tests of a console. They are here because
// console knows no word set, not even the language's.
func testDict(t *testing.T) *interp.Dict {
	t.Helper()
	word := func(name string, f func(*interp.Session) error) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: f}
	}
	d, err := interp.NewDict(interp.Set{Name: "test", Help: "words for tests", Words: []interp.Word{
		{Name: ".", Stack: "( item - )", Help: "prints", Func: func(s *interp.Session) error {
			v, err := s.Pop()
			if err == nil {
				s.Print(v.Source() + "\n")
			}
			return err
		}},
		{Name: "type", Stack: "( string - )", Help: "prints text", Func: func(s *interp.Session) error {
			v, err := s.PopString()
			if err == nil {
				s.Print(v)
				s.Flush()
			}
			return err
		}},
		word("clear", func(s *interp.Session) error { s.Clear(); return nil }),
		word("bye", func(s *interp.Session) error { return s.Leave() }),
		word("started", func(s *interp.Session) error { s.Print("started\n"); return nil }),
		word("tap.rx.enable", nop), word("tap.rx.disable", nop), word("tap.tx.enable", nop),
		word("random", nop),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// registerDangerous adds words that random keys should not run.
func registerDangerous(t *testing.T, d *interp.Dict) {
	t.Helper()
	word := func(name string, f func(*interp.Session) error) interp.Word {
		return interp.Word{Name: name, Stack: "( - )", Help: "for tests", Func: f}
	}
	err := d.Register(interp.Set{Name: "dangerous", Help: "words for tests", Words: []interp.Word{
		word("panic", func(s *interp.Session) error { panic("on purpose") }),
		word("flood", func(s *interp.Session) error {
			line := bytes.Repeat([]byte("x"), 1000)
			line[999] = '\n'
			for !s.Interrupted() {
				if _, err := s.Write(line); err != nil {
					return err
				}
			}
			return interp.ErrInterrupted
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func nop(*interp.Session) error { return nil }
