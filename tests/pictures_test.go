// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"

	"ethertap/tests/need"
	"ethertap/tests/netlab"
	"ethertap/tests/vt"
)

// pictures is the environment variable that names a directory for pictures of a tap under traffic. Those of the documents
// are made by ETHERTAP_PICTURES=DIR go test ./tests -run TestPictures -timeout 15m.
const pictures = "ETHERTAP_PICTURES"

// pictureTime is how long the plots of a picture are.
const pictureTime = 5 * time.Minute

// office are hosts that send: their names, and addresses whose first half names a vendor.
var office = []struct{ name, mac string }{
	{"desk1", "00:1b:21:3a:10:01"}, {"desk2", "3c:07:54:21:7e:90"}, {"camera", "b8:27:eb:5d:33:08"}, {"printer", "00:80:77:c4:12:55"}, {"phone", "00:04:13:29:4b:6d"},
}

// TestPictures lets hosts talk across a tap for five minutes, and takes pictures of the page and of the terminal view.
func TestPictures(t *testing.T) {
	dir := os.Getenv(pictures)
	if dir == "" {
		t.Skip("takes five minutes: set " + pictures)
	}
	r := newRig(t)
	r.queue = "ixdp.pqueue.office"
	r.converse()
	socket := filepath.Join(r.dir, "http.sock")
	r.daemon("--name", "office", "--http", socket)
	r.rpcl("0 tap.rx.enable 1 tap.rx.enable")
	r.rpcl(office[3].mac + " drop.hash.insert")
	r.rpcl("1 fault.enable 200 1 fault.drop.probability 100 1 fault.bitflip.probability 50 1 fault.dup.probability")
	r.collecting("--silent", "--format", "pcapng", filepath.Join(r.dir, "office.pcapng"))
	seat := sitAt(t, r.command(r.control, "ethertap", "live"))
	seat.Resize(100, 33)
	time.Sleep(pictureTime)
	seat.Look(func(v *vt.Screen) { writeFile(t, filepath.Join(dir, "live.txt"), v.String()) })
	photograph(t, dir, proxy(t, socket))
	r.rpcl("if.check")
}

// converse lets the hosts of the office, each with an interface of its own at src, talk to one at snk until the test ends.
func (r *rig) converse() {
	t := r.t
	ip := func(n *netlab.Namespace, args ...string) {
		t.Helper()
		if out, errs, status := netlab.Run(t, n.Command("ip", args...)); status != 0 {
			t.Fatalf("ip %v: %s%s", args, out, errs)
		}
	}
	for n, name := range map[*netlab.Namespace]string{r.Src: netlab.S0, r.Snk: netlab.K1} { // frames as on a wire, and the fast path
		for _, set := range []string{"tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off", "gro on"} {
			netlab.Run(t, n.Command("ethtool", append([]string{"-K", name}, strings.Fields(set)...)...))
		}
	}
	ip(r.Snk, "addr", "add", "10.9.0.1/24", "dev", netlab.K1)
	server, echo := r.serve()
	for i, h := range office {
		address := fmt.Sprintf("10.9.0.%d", 11+i)
		ip(r.Src, "link", "add", "link", netlab.S0, "name", h.name, "address", h.mac, "type", "macvlan", "mode", "bridge")
		ip(r.Src, "addr", "add", address+"/24", "dev", h.name)
		ip(r.Src, "link", "set", h.name, "up")
		switch h.name {
		case "desk1", "desk2":
			r.download(h.name, address, server, 40*float64(i+1))
		case "camera":
			r.datagrams(h.name, address, "10.9.0.1"+echo, 1200, 60*time.Second, 900)
		case "printer":
			r.datagrams(h.name, address, "10.9.0.1"+echo, 60, 100*time.Second, 60)
		case "phone": // in a VLAN, which not every kernel can make an interface of
			frame := slices.Insert(netlab.UDP(214, 1), 12, 0x81, 0, 0, 42)
			mac, err := net.ParseMAC(h.mac)
			if err != nil {
				t.Fatal(err)
			}
			copy(frame[6:], mac)
			s := r.Src.NewSender(h.name, true)
			r.tide(50, 45*time.Second, func() { s.Send(frame) })
		}
	}
	netlab.StartProcess(t, r.Src.Command("ping", "-q", "-i", "0.2", "10.9.0.1"))
}

// serve answers at snk: pages by HTTP, and datagrams by themselves. It returns the address and the port of each.
func (r *rig) serve() (server, echo string) {
	var l net.Listener
	var u net.PacketConn
	if err := r.Snk.Do(func() (err error) {
		if l, err = net.Listen("tcp4", ":80"); err == nil {
			u, err = net.ListenPacket("udp4", ":5004")
		}
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	body := strings.Repeat("all work and no play ", 3000)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })}
	go s.Serve(l)
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			u.WriteTo(b[:n/4], from)
		}
	}()
	r.t.Cleanup(func() { s.Close(); u.Close() })
	return "10.9.0.1:80", ":5004"
}

// tide lets f happen about n times a second, in the course of a period more and less often, until the test ends.
func (r *rig) tide(n float64, period time.Duration, f func()) {
	start := time.Now()
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			at := time.Since(start).Seconds() / period.Seconds()
			select {
			case <-end:
				return
			case <-time.After(time.Duration(float64(time.Second) / n / (1 + 0.8*math.Sin(2*math.Pi*at)))):
				f()
			}
		}
	}()
	r.t.Cleanup(func() { close(end); <-done })
}

// from is a dialer whose connections leave by a device with an address: all devices have the same network.
func from(device string, address net.Addr) *net.Dialer {
	return &net.Dialer{LocalAddr: address, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); cerr != nil {
			return cerr
		}
		return err
	}}
}

// download gets pages from a server, as a host with an address.
func (r *rig) download(device, address, server string, perSecond float64) {
	c := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, to string) (c net.Conn, err error) {
		err = r.Src.Do(func() (err error) {
			c, err = from(device, &net.TCPAddr{IP: net.ParseIP(address)}).DialContext(ctx, network, to)
			return err
		})
		return c, err
	}}}
	r.tide(perSecond/4, 70*time.Second, func() {
		if a, err := c.Get("http://" + server); err == nil { // a fault may have hit it
			io.Copy(io.Discard, a.Body)
			a.Body.Close()
		}
	})
}

// datagrams sends datagrams, as a host with an address.
func (r *rig) datagrams(device, address, to string, size int, period time.Duration, perSecond float64) {
	var c net.Conn
	if err := r.Src.Do(func() (err error) {
		c, err = from(device, &net.UDPAddr{IP: net.ParseIP(address)}).Dial("udp4", to)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	b := make([]byte, size)
	r.tide(perSecond, period, func() { c.Write(b) })
}

// proxy listens on a port of 127.0.0.1 for a Unix socket, and returns its address.
func proxy(t *testing.T, socket string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u, err := net.Dial("unix", socket)
			if err != nil {
				c.Close()
				return
			}
			go func() { io.Copy(u, c); u.Close() }()
			go func() { io.Copy(c, u); c.Close() }()
		}
	}()
	return l.Addr().String()
}

// photograph takes pictures of the page at two sizes in both themes.
func photograph(t *testing.T, dir, address string) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(need.Tool(t, "chromium")), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+address+"/")); err != nil {
		t.Fatal(err)
	}
	for _, view := range []struct {
		name  string
		width int64
	}{{"wide", 1280}, {"phone", 390}} {
		for _, theme := range []string{"light", "dark"} {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(view.width, 800)); err != nil {
				t.Fatal(err)
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, view.name+"-"+theme+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
