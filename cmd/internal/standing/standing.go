// SPDX-License-Identifier: BSD-3-Clause

// Package standing is what a running collect with a stream tells of itself, on its socket in the run
// directory: one line of JSON to each who connects. It does not know what a stream is.
package standing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"ethertap/cmd/internal/rundir"
)

// patience is how long the other end has.
const patience = time.Second

// longest is how long a line may be, in bytes.
const longest = 64 << 10

// Standing is how a collect stands. It is between programs of one version, so its keys are no promise.
type Standing struct {
	PID     int    `json:"pid"`
	Address string `json:"address"` // of the stream
	Reads   bool   `json:"reads"`   // packets come from the stream; otherwise they go there
	Lost    uint64 `json:"lost"`    // packets that found no room in the queue

	Acknowledged uint64 `json:"acknowledged"` // packets
	InFlight     uint64 `json:"in_flight"`    // packets
	Held         uint64 `json:"held"`         // bytes
	Retried      uint64 `json:"retried"`      // messages
	Behind       uint64 `json:"behind"`       // packets, or messages if it reads
	Late         uint64 `json:"late"`         // packets
	Connected    bool   `json:"connected"`
}

// String returns the line for a person.
func (s Standing) String() string {
	way, behind, late := "into", "packets", ""
	if s.Reads {
		way, behind = "from", "messages"
		late = fmt.Sprintf(", %d packets were late", s.Late)
	}
	server := ""
	if !s.Connected {
		server = "; there is no server now"
	}
	return fmt.Sprintf("%s %s: %d packets acknowledged, %d in flight, %d %s behind, %d bytes held, %d messages retried%s; %d packets lost before%s",
		way, s.Address, s.Acknowledged, s.InFlight, s.Behind, behind, s.Held, s.Retried, late, s.Lost, server)
}

// Serve tells on a socket what now returns, until stop is called.
func Serve(path string, now func() Standing) (stop func(), err error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s := now()
			s.PID = os.Getpid()
			c.SetDeadline(time.Now().Add(patience))
			json.NewEncoder(c).Encode(s) // who does not read it does not get it
			c.Close()
		}
	})
	return func() { l.Close(); serving.Wait() }, nil
}

// Ask asks a collect. ok is false if it has no stream.
func Ask(in rundir.Info) (s Standing, ok bool, err error) {
	c, err := net.DialTimeout("unix", in.Socket, patience)
	if err != nil {
		return s, false, nil // nothing listens
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, longest)
	n := 0
	for {
		m, rerr := c.Read(buf[n:])
		if n += m; rerr != nil || n == len(buf) {
			break
		}
	}
	if err := json.Unmarshal(buf[:n], &s); err != nil {
		return s, false, fmt.Errorf("collect PID %d does not say how it stands: %w", in.PID, err)
	}
	if s.PID != in.PID {
		return s, false, errors.New("another process answers for collect")
	}
	return s, true, nil
}

// All returns how all collects with streams stand, by the names of the instances.
func All(ctx context.Context) map[string]Standing {
	all := map[string]Standing{}
	list, err := rundir.List(ctx, "collect")
	if err != nil {
		return all
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, in := range list {
		asking.Go(func() {
			if s, ok, err := Ask(in); err == nil && ok {
				mu.Lock()
				all[in.Name] = s
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return all
}
