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

// Client is a session on a server in another process. Its requests come one
// after the other; Interrupt may be called meanwhile.
type Client struct {
	nc    *net.UnixConn
	br    *bufio.Reader
	hello hello

	mu  sync.Mutex // one request at a time
	id  uint32     // of the last request
	err error      // the connection is lost

	keys    func(send func([]byte)) (stop func()) // gives keys while a word wants them; nil: there is no keyboard
	page    func(text string) error               // shows text page by page; nil: it is just written
	send    sync.Mutex                            // frames go out whole
	running atomic.Uint32                         // id of the line or source that runs; 0 none
}

// How long a client waits for what a server does at once.
const (
	greetTime = 5 * time.Second
	askTime   = 30 * time.Second
)

// Dial connects to the server at path. The error says what a user can do about
// it; it wraps fs.ErrNotExist or unix.ECONNREFUSED when nobody is there.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, greetTime)
	if err != nil {
		hint := ""
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			hint = "; run as root or as a member of the socket's group"
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
	if err == nil && c.hello.version != Version {
		err = fmt.Errorf("it speaks protocol version %d, we %d; use the control it came with", c.hello.version, Version)
	}
	if err != nil {
		c.nc.Close()
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	return c, nil
}

// PID is the server's, as it says.
func (c *Client) PID() int { return int(c.hello.pid) }

// Instance is the name the server greets with.
func (c *Client) Instance() string { return c.hello.instance }

// Close leaves. What runs is interrupted; the server goes on.
func (c *Client) Close() error { return c.nc.Close() }

// Eval runs one line, as if typed at the prompt: a structure may stay open. What
// it prints is written while it runs, error messages to stderr. The error says
// that the connection or a writer is lost, not that the line failed.
func (c *Client) Eval(line string, stdout, stderr io.Writer) (Result, error) {
	return c.request(kindLine, line, nil, stdout, stderr)
}

// Run runs a whole source and stops at its first error, which has name in it.
func (c *Client) Run(name string, r io.Reader, stdout, stderr io.Writer) (Result, error) {
	return c.request(kindRun, name, r, stdout, stderr)
}

// Interrupt stops the line or source that runs; false says that none does, or that the
// connection is lost.
func (c *Client) Interrupt() bool {
	id := c.running.Load()
	return id != 0 && c.write(kindInterrupt, idBytes(id)) == nil
}

// Abandon forgets the structure that the lines so far have left open.
func (c *Client) Abandon() { c.write(kindInterrupt, idBytes(0)) }

// screen tells the server of the client's screen.
func (c *Client) screen(columns, rows int) {
	c.send.Lock()
	defer c.send.Unlock()
	c.nc.Write(appendScreen(nil, columns, rows)) // a lost connection shows with the next request
}

// complete returns what may follow on a line of which before stands before the cursor.
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
	if len(text)+4 > MaxPayload {
		return nil, nil
	}
	id, err := c.start(kind, text)
	if err != nil {
		return nil, err
	}
	c.nc.SetReadDeadline(time.Now().Add(askTime))
	defer c.nc.SetReadDeadline(time.Time{})
	err = c.replies(id, func(f frame, p []byte) (bool, error) {
		rest = p
		return f.kind == answer, nil
	}, io.Discard, io.Discard)
	return rest, err
}

// request sends a line or a source and follows it to its result.
func (c *Client) request(kind byte, text string, r io.Reader, stdout, stderr io.Writer) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(text)+4 > MaxPayload {
		return Result{}, fmt.Errorf("line longer than %d bytes", MaxPayload-4)
	}
	id, err := c.start(kind, text)
	if err != nil {
		return Result{}, err
	}
	c.running.Store(id)
	defer c.running.Store(0)
	var res Result
	stop := func() {}
	defer func() { stop() }()
	buf := make([]byte, chunk)
	err = c.replies(id, func(f frame, rest []byte) (bool, error) {
		switch f.kind {
		case kindResult:
			res, err = parseResult(rest)
			return true, err
		case kindKeys:
			if c.keys != nil {
				stop() // at most one
				stop = c.keys(func(keys []byte) { c.write(kindKeys, idBytes(id), string(keys)) })
			}
		case kindPage:
			if c.page != nil {
				err = c.page(string(rest))
			} else {
				_, err = stdout.Write(rest)
			}
			return false, err
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

// piece reads what there is of a source; n is 0 at its end alone.
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

// start sends a request under a new id. c.mu is held.
func (c *Client) start(kind byte, text string) (id uint32, err error) {
	if c.err != nil {
		return 0, c.err
	}
	c.id++
	if c.id == 0 {
		c.id = 1
	}
	// A failure to write is not yet the end: the server may have said why.
	c.write(kind, idBytes(c.id), text)
	return c.id, nil
}

// replies reads frames until done says that the last one belonging to id has come.
// Output is written as it comes. Any error ends the connection. c.mu is held.
func (c *Client) replies(id uint32, done func(f frame, rest []byte) (bool, error), stdout, stderr io.Writer) error {
	for {
		f, err := readFrame(c.br)
		if err != nil {
			return c.lost(fmt.Errorf("connection to PID %d lost: %w", c.PID(), err))
		}
		switch f.kind {
		case kindOutput:
			_, err = stdout.Write(f.payload)
		case kindErrors:
			_, err = stderr.Write(f.payload)
		case kindGoodbye:
			return c.lost(fmt.Errorf("PID %d: %s", c.PID(), f.payload))
		default:
			got, rest, e := f.withID()
			if e != nil {
				return c.lost(e)
			}
			if got != id {
				continue // the answer to a completion given up
			}
			var last bool
			if last, err = done(f, rest); last && err == nil {
				return nil
			}
		}
		if err != nil {
			return c.lost(err)
		}
	}
}

// lost ends the connection for this reason. c.mu is held.
func (c *Client) lost(err error) error {
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
	size   [2]int    // of the screen, as the server knows it
	stdout io.Writer
	stderr io.Writer
	midst  bool // the last byte written to stdout was no newline
}

func (r *remote) eval(line string) (Result, error) {
	if r.tty != nil && !r.tty.plain {
		if columns, rows := r.tty.Screen(); [2]int{columns, rows} != r.size {
			r.size = [2]int{columns, rows}
			r.cl.screen(columns, rows)
		}
		r.cl.keys, r.cl.page = r.tty.forward, r.page
	}
	return r.cl.Eval(line, (*remoteOutput)(r), (*remoteErrors)(r))
}

// page shows text page by page. That the pager is not there ends no connection.
func (r *remote) page(text string) error {
	err := r.tty.Page(text)
	if err != nil {
		fmt.Fprintf(r.stderr, "error: %v\n", err)
	}
	return nil
}

func (r *remote) interrupt() { r.cl.Interrupt() }

func (r *remote) abandon() { r.cl.Abandon() }

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

// remoteOutput and remoteErrors are the streams of a remote session on one
// screen: an error does not begin in the middle of a line.
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
