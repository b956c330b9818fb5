// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Client is a session on a server in another process. It sends one request after the other; only
// Interrupt may be called meanwhile.
type Client struct {
	nc    *net.UnixConn
	br    *bufio.Reader
	hello hello

	mu  sync.Mutex // one request at a time
	id  uint32     // of the last request
	err error      // set when the connection is lost

	keys    func(send func([]byte)) (stop func()) // sends the keys that are typed while a word wants them; nil: there is no keyboard
	page    func(text string) error               // shows text page by page; nil: it is just written
	view    func(name string)                     // shows a view; nil: there is no terminal
	send    sync.Mutex                            // held while a frame is written
	running atomic.Uint32                         // id of the running line or source; 0: none
}

// These are the times that a client waits for answers that a server gives at once.
const (
	greetTime = 5 * time.Second
	askTime   = 30 * time.Second
)

// Dial connects to the server at path. The error says what the user can do; it wraps
// fs.ErrNotExist or unix.ECONNREFUSED if no server is there.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, greetTime)
	if err != nil {
		hint := ""
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			hint = "; run as root, or start ethertap with --group for your group"
		}
		return nil, fmt.Errorf("connect: %w%s", err, hint)
	}
	c := &Client{nc: conn.(*net.UnixConn), br: bufio.NewReader(conn)}
	c.nc.SetReadDeadline(time.Now().Add(greetTime))
	defer c.nc.SetReadDeadline(time.Time{})
	f, err := readFrame(c.br)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("no greeting; is the program stopped?")
	case err == nil && f.kind == kindGoodbye:
		err = errors.New(string(f.payload))
	case err == nil:
		c.hello, err = parseHello(f)
	}
	if err == nil && c.hello.version != protocolVersion {
		err = fmt.Errorf("it speaks protocol version %d, we %d; use the control it came with", c.hello.version, protocolVersion)
	}
	if err != nil {
		c.nc.Close()
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	return c, nil
}

// PID returns the process id that the server has sent.
func (c *Client) PID() int { return int(c.hello.pid) }

// Close ends the session. A running line is interrupted; the server goes on.
func (c *Client) Close() error { return c.nc.Close() }

// Eval runs one line, as if typed at the prompt: a structure may stay open. Its output is written
// while it runs, error messages to stderr. The error says that the connection or a writer is
// lost, not that the line failed.
func (c *Client) Eval(line string, stdout, stderr io.Writer) (Result, error) {
	return c.request(kindLine, line, nil, stdout, stderr)
}

// Run runs a whole source and stops at its first error, which contains name.
func (c *Client) Run(name string, r io.Reader, stdout, stderr io.Writer) (Result, error) {
	return c.request(kindRun, name, r, stdout, stderr)
}

// Interrupt stops the running line or source. It returns false if none is running, or the
// connection is lost.
func (c *Client) Interrupt() bool {
	id := c.running.Load()
	return id != 0 && c.write(kindInterrupt, idBytes(id)) == nil
}

// abandon forgets the structure that the lines so far have left open.
func (c *Client) abandon() { c.write(kindInterrupt, idBytes(0)) }

// screen sends the size of the client's screen to the server.
func (c *Client) screen(columns, rows int) {
	c.send.Lock()
	defer c.send.Unlock()
	c.nc.Write(appendScreen(nil, columns, rows)) // a lost connection shows with the next request
}

// complete returns the completions of a line with this text before the cursor.
func (c *Client) complete(before string) (completion, error) {
	rest, err := c.ask(kindComplete, kindWords, before)
	return parseWords(rest), err
}

// about returns the stack comment of a word.
func (c *Client) about(word string) (string, error) {
	rest, err := c.ask(kindAbout, kindAbout, word)
	return string(rest), err
}

// ask makes a request that is answered at once.
func (c *Client) ask(kind, answer byte, text string) (rest []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(text)+4 > maxPayload {
		return nil, nil
	}
	id, err := c.startLocked(kind, text)
	if err != nil {
		return nil, err
	}
	c.nc.SetReadDeadline(time.Now().Add(askTime))
	defer c.nc.SetReadDeadline(time.Time{})
	err = c.repliesLocked(id, func(f frame, p []byte) (bool, error) {
		rest = p
		return f.kind == answer, nil
	}, io.Discard, io.Discard)
	return rest, err
}

// request sends a line or a source and reads replies up to its result.
func (c *Client) request(kind byte, text string, r io.Reader, stdout, stderr io.Writer) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(text)+4 > maxPayload {
		return Result{}, fmt.Errorf("line longer than %d bytes", maxPayload-4)
	}
	id, err := c.startLocked(kind, text)
	if err != nil {
		return Result{}, err
	}
	c.running.Store(id)
	defer c.running.Store(0)
	var res Result
	stop := func() {}
	defer func() { stop() }()
	buf := make([]byte, chunk)
	err = c.repliesLocked(id, func(f frame, rest []byte) (bool, error) {
		switch f.kind {
		case kindResult:
			res, err = parseResult(rest)
			return true, err
		case kindKeys:
			if c.keys != nil {
				stop() // the function may be set once at most
				stop = c.keys(func(keys []byte) { c.write(kindKeys, idBytes(id), string(keys)) })
			}
		case kindPage:
			if c.page != nil {
				err = c.page(string(rest))
			} else {
				_, err = stdout.Write(rest)
			}
			return false, err
		case kindView:
			if c.view != nil {
				stop() // the keys are the view's
				stop = func() {}
				c.view(string(rest))
			}
		case kindMore:
			n, err := piece(r, buf)
			if err == nil {
				err = c.write(kindData, idBytes(id), string(buf[:n]))
			}
			return false, err
		}
		return false, nil
	}, stdout, stderr)
	return res, err
}

// piece reads what is available of a source; n is 0 only at its end.
func piece(r io.Reader, buf []byte) (n int, err error) {
	if r == nil {
		return 0, nil
	}
	for n == 0 && err == nil {
		n, err = r.Read(buf)
	}
	if n > 0 || err == io.EOF {
		return n, nil
	}
	return 0, fmt.Errorf("source: %w", err)
}

// startLocked sends a request under a new id. The caller holds c.mu.
func (c *Client) startLocked(kind byte, text string) (id uint32, err error) {
	if c.err != nil {
		return 0, c.err
	}
	c.id++
	if c.id == 0 {
		c.id = 1
	}
	// An error of write is not the end yet: the server may have sent a reason.
	c.write(kind, idBytes(c.id), text)
	return c.id, nil
}

// repliesLocked reads frames until done says that the last one for id has come. Output is written
// as it comes. Any error ends the connection. The caller holds c.mu.
func (c *Client) repliesLocked(id uint32, done func(f frame, rest []byte) (bool, error), stdout, stderr io.Writer) error {
	for {
		f, err := readFrame(c.br)
		if err != nil {
			return c.lostLocked(fmt.Errorf("connection to PID %d lost: %w", c.PID(), err))
		}
		switch f.kind {
		case kindOutput:
			_, err = stdout.Write(f.payload)
		case kindErrors:
			_, err = stderr.Write(f.payload)
		case kindGoodbye:
			return c.lostLocked(fmt.Errorf("PID %d: %s", c.PID(), f.payload))
		default:
			got, rest, e := f.withID()
			if e != nil {
				return c.lostLocked(e)
			}
			if got != id {
				continue // the answer to a completion that was given up
			}
			var last bool
			if last, err = done(f, rest); last && err == nil {
				return nil
			}
		}
		if err != nil {
			return c.lostLocked(err)
		}
	}
}

// lostLocked ends the connection for this reason. The caller holds c.mu.
func (c *Client) lostLocked(err error) error {
	c.err = err
	c.nc.Close()
	return err
}

func (c *Client) write(kind byte, parts ...string) error {
	c.send.Lock()
	defer c.send.Unlock()
	_, err := c.nc.Write(appendFrame(nil, kind, parts...))
	return err
}

// remote is a client as the target of a prompt.
type remote struct {
	cl     *Client
	tty    *terminal // nil if there is none
	sizes  sync.Mutex
	size   [2]int // under sizes: size of the screen, as the server knows it
	stdout io.Writer
	stderr io.Writer
	midst  bool // the last byte written to stdout was not a newline
}

func (r *remote) eval(line string) (Result, error) {
	if r.tty != nil && !r.tty.plain {
		r.tellSize()
		r.cl.keys, r.cl.page, r.cl.view = r.tty.forward, r.page, r.view
	}
	return r.cl.Eval(line, (*remoteOutput)(r), (*remoteErrors)(r))
}

// tellSize sends the size of the screen if the server does not know it. It is called before each line,
// and when the size changes while a word like watch draws.
func (r *remote) tellSize() {
	r.sizes.Lock()
	defer r.sizes.Unlock()
	if columns, rows := r.tty.Screen(); [2]int{columns, rows} != r.size {
		r.size = [2]int{columns, rows}
		r.cl.screen(columns, rows)
	}
}

// page shows text page by page. If there is no pager, the connection stays all the same.
func (r *remote) page(text string) error {
	err := r.tty.Page(text)
	if err != nil {
		fmt.Fprintf(r.stderr, "error: %v\n", err)
	}
	return nil
}

// view shows a view of this program.
func (r *remote) view(name string) {
	if err := r.tty.View(name); err != nil {
		fmt.Fprintf(r.stderr, "error: %v\n", err)
	}
}

func (r *remote) interrupt() { r.cl.Interrupt() }

func (r *remote) abandon() { r.cl.abandon() }

// A lost connection shows with the next line.

func (r *remote) complete(before string) completion {
	c, _ := r.cl.complete(before)
	return c
}

func (r *remote) stackOf(word string) string {
	stack, _ := r.cl.about(word)
	return stack
}

func (r *remote) here() bool { return false }

func (r *remote) state() Result { return Result{} }

func (r *remote) freshLine() {
	if r.midst {
		fmt.Fprintln(r.stdout)
		r.midst = false
	}
}

// remoteOutput and remoteErrors are the streams of a remote session on one screen: an error does
// not begin in the middle of a line.
type (
	remoteOutput remote
	remoteErrors remote
)

func (o *remoteOutput) Write(p []byte) (int, error) {
	if len(p) > 0 {
		o.midst = p[len(p)-1] != '\n'
	}
	return o.stdout.Write(p)
}

func (e *remoteErrors) Write(p []byte) (int, error) {
	(*remote)(e).freshLine()
	return e.stderr.Write(p)
}
