// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/tty"
	"ethertap/collect"
	"ethertap/dataplane/pcap"
	"ethertap/dataplane/port"
	"ethertap/shm"
)

// files are the ports that are capture files; nil: there is none.
type files struct {
	in    *pcap.In
	out   *pcap.Out
	alone bool // there is no other port
}

// makePorts makes the ports that are not network interfaces. A file is read as the first port and written as the second one.
// pace and loop are the options of the command line, paced and looped say whether they were given.
func (o *options) makePorts(pace string, paced bool, loop int, looped bool) (err error) {
	names := o.plane.Interfaces
	o.plane.Ports = make([]port.Port, len(names))
	o.files.alone = len(names) > 0
	for _, name := range names {
		o.files.alone = o.files.alone && strings.HasPrefix(name, pcap.Prefix)
	}
	for i, name := range names[:min(len(names), 2)] {
		switch {
		case strings.HasPrefix(name, pcap.Prefix) && i == 0:
			in := pcap.InOptions{Loop: loop, Pace: pcap.Original}
			if o.files.alone {
				in.Pace = pcap.Max
			}
			if paced {
				if in.Pace, err = pcap.ParsePace(pace); err != nil {
					return fmt.Errorf("--pace: %w", err)
				}
			}
			if o.files.in, err = pcap.NewIn(name, in); err != nil {
				return err
			}
			o.plane.Ports[i] = o.files.in
		case strings.HasPrefix(name, pcap.Prefix):
			if o.files.alone && pcap.SameFile(names[0], name) {
				return fmt.Errorf("%s and %s are the same file", names[0], name)
			}
			if o.files.out, err = pcap.NewOut(name, pcap.OutOptions{Application: "ethertap " + about.Version, Offline: o.files.alone}); err != nil {
				return err
			}
			o.plane.Ports[i] = o.files.out
		default:
			continue
		}
		if path := strings.TrimPrefix(name, pcap.Prefix); o.daemon && !filepath.IsAbs(path) {
			return fmt.Errorf("--daemon changes to /, so %s would not be found there; give the whole path", path)
		}
	}
	switch {
	case o.files.in == nil && (paced || looped):
		return errors.New("--pace and --loop are for a file that is read: ethertap pcap:FILE …")
	case loop < 1:
		return fmt.Errorf("--loop %d: at least 1", loop)
	}
	return nil
}

// aloneName is the name of an instance that has files only, and none from --name: so it is in the way of no other.
func aloneName() string { return fmt.Sprintf("pcap-%d", os.Getpid()) }

// deleteQueue removes the TAP queue of files alone, unless the user has named it: nobody else would.
func (p *program) deleteQueue() {
	if !p.files.alone || p.queueNamed {
		return
	}
	if err := shm.Delete(p.tapQueue); err != nil {
		p.logf("%v", err)
	}
}

// finished is closed when everything that a file has was forwarded; nil if none is read.
func (p *program) finished() <-chan struct{} {
	if p.files.in == nil {
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-p.files.in.Done()
		for !p.forwarded() {
			time.Sleep(time.Millisecond)
		}
	}()
	return done
}

// forwarded says whether no frame that was received is still on its way.
func (p *program) forwarded() bool {
	c, err := p.engine.Chunks()
	return err == nil && c.RX == 0 && c.Held == 0 && c.TX == 0
}

// failed is closed when a file cannot be written any more; nil if none is written.
func (f *files) failed() <-chan struct{} {
	if f.out == nil {
		return nil
	}
	return f.out.Failed()
}

// tapped returns how many records the taps have put into queues, and how many found them full.
func (p *program) tapped() (stored, refused uint64) {
	now := p.engine.Snapshot(false)
	for _, i := range now.Ports {
		stored += i.Stats.TapStored
		refused += i.Stats.TapRefused
	}
	for _, q := range now.Further {
		stored += q.Stored
		refused += q.Refused
	}
	return stored, refused
}

// showProgress shows, until the end is called, how far the reading of a capture is: on one line of standard error, or every
// ten seconds above a prompt, or in lines of a file. A daemon shows nothing: replay.status tells.
func (p *program) showProgress() (end func()) {
	if p.files.in == nil || p.child != nil {
		return func() {}
	}
	drawn := !p.console.Terminal() && tty.Is(p.errorFile)
	progress := collect.NewProgress(p.console.Log(), drawn)
	if drawn {
		p.above.Store(progress)
	}
	begun := time.Now()
	stop := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		progress.Run(either(stop, p.files.in.Done()), func() collect.Counts {
			s := p.files.in.Status()
			_, refused := p.tapped()
			return collect.Counts{Packets: s.Packets, Bytes: s.Bytes, Lost: refused, Elapsed: time.Since(begun)}
		})
	})
	return func() {
		close(stop)
		shown.Wait()
	}
}

// either is closed when one of two channels is. The first one has to be closed in the end.
func either(a, b <-chan struct{}) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		select {
		case <-a:
		case <-b:
		}
	}()
	return c
}

// sayLost says that packets of taps are lost, and what would have kept them.
func (p *program) sayLost() {
	if !p.files.alone {
		return
	}
	stored, refused := p.tapped()
	if refused > 0 {
		p.logf("taps: %d packets found room in a queue, %d found none: a reader that is there before them is waited for (-e replay.pause; then collect -q %s; then replay.resume)", stored, refused, p.tapQueue)
	}
}

// close completes the files and says what was read and written. It returns why a file could not be read or written to its end.
func (f *files) close(say func(string, ...any)) (err error) {
	if f.in != nil {
		err = errors.Join(f.in.Err(), f.in.Close())
		say("%s", f.in.Summary())
	}
	if f.out != nil {
		err = errors.Join(err, f.out.Close())
		say("%s", f.out.Summary())
	}
	return err
}
