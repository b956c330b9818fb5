// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ethertap/collect"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// Out implements port.Port. It writes the frames that leave by it into a PCAPNG file, which is compressed if its name ends in
// .zst. The file is begun by the first start, and is complete after Close.
type Out struct {
	*memory.Port
	path        string
	application string
	offline     bool
	failed      chan struct{} // closed after the first error

	mu      sync.Mutex     // guards the rest
	files   *collect.Files // nil before the first start
	record  shm.Record
	last    int64 // time of the last frame
	err     error // what nothing more is written after
	packets uint64
	bytes   uint64
}

// OutOptions say how a file is written.
type OutOptions struct {
	Application string // named in the file
	// Offline says that all frames come from a file: the same frames give the same bytes, on every machine.
	Offline bool
}

// NewOut returns the port with a name.
func NewOut(name string, o OutOptions) (*Out, error) {
	path := strings.TrimPrefix(name, Prefix)
	if path == "" {
		return nil, fmt.Errorf("%s: a path is needed, %sFILE", name, Prefix)
	}
	p := &Out{path: path, application: o.Application, offline: o.Offline, failed: make(chan struct{})}
	p.Port = memory.New(name, memory.Options{Elastic: true, Timed: true, NoRX: true, SentWith: p.send})
	return p, nil
}

// Facts implements port.Port.
func (p *Out) Facts() port.Facts {
	f := p.Port.Facts()
	f.Driver = "pcap"
	if f.Mode == port.Memory {
		f.Mode = port.File
	}
	return f
}

// Prepare implements port.Port. It makes the file, once.
func (p *Out) Prepare() (func() error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files != nil {
		return nil, nil
	}
	path, zstd := strings.CutSuffix(p.path, ".zst")
	if zstd {
		path += ".zst"
	}
	files, err := collect.Create(strings.ReplaceAll(path, "%", "%%"), collect.Options{
		Format: collect.PCAPNG, Zstd: zstd, Application: p.application, Reproducible: p.offline,
		Interfaces: []shm.Interface{{Name: filepath.Base(p.path)}},
	})
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", p.Name(), err)
	}
	p.files = files
	return nil, nil
}

// Admit implements port.Port. While the engine runs, what was written is on the disk after a second.
func (p *Out) Admit() (func() error, error) {
	shut, err := p.Port.Admit()
	if err != nil {
		return nil, err
	}
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		if p.offline { // when a buffer is written would decide on the frames of zstd
			return
		}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				p.mu.Lock()
				p.check(p.files.Due(time.Now()))
				p.mu.Unlock()
			}
		}
	})
	return func() error {
		close(end)
		done.Wait()
		return shut()
	}, nil
}

// send appends a frame. The threads call it.
func (p *Out) send(_ int, frame []byte, meta xsk.Meta) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return false
	}
	p.record = shm.Record{OrigLen: uint32(len(frame)) + meta.Missing, Direction: shm.RX, Fault: meta.Fault, PacketID: p.packets, Data: frame}
	p.last = meta.Time
	if !p.check(p.files.Append(time.Time{}, meta.Time, &p.record)) {
		return false
	}
	p.packets++
	p.bytes += uint64(len(frame))
	return !p.files.Full() || p.check(p.files.Flush())
}

// check keeps the first error, and returns whether there is none. The caller holds p.mu.
func (p *Out) check(err error) bool {
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("port %s: %w", p.Name(), err)
		close(p.failed)
	}
	return p.err == nil
}

// Failed is closed when the file cannot be written any more. Close returns why.
func (p *Out) Failed() <-chan struct{} { return p.failed }

// Close completes the file. It returns the first error of writing.
func (p *Out) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files == nil {
		return p.err
	}
	now := time.Now()
	if p.offline {
		now = time.Unix(0, p.last)
	}
	p.check(p.files.Close(now))
	return p.err
}

// Summary says in a line what was written.
func (p *Out) Summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%s: %d frames written, %d bytes", p.Name(), p.packets, p.bytes)
}
