// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ethertap/cmd/internal/rundir"
	"ethertap/shm"
	"ethertap/words/report"
)

// listing is printed by --list --json; docs/json.md describes the keys.
type listing struct {
	Schema   int           `json:"schema"`
	Instance string        `json:"instance"`
	Time     time.Time     `json:"time"`
	Queues   []listedQueue `json:"queues"`
}

type listedQueue struct {
	Name       string            `json:"name"`
	Error      string            `json:"error"` // why nothing else is known
	Waiting    int               `json:"waiting"`
	Slots      int               `json:"slots"`
	SlotSize   int               `json:"slot_size"`
	Room       int               `json:"room"`
	Inserted   uint64            `json:"inserted"`
	Full       uint64            `json:"full"`
	Overwrite  bool              `json:"overwrite"`
	Interfaces []listedInterface `json:"interfaces"`
	Producers  []listedProcess   `json:"producers"`
	Consumers  []listedProcess   `json:"consumers"`
}

type listedInterface struct {
	Index     int    `json:"index"`
	Name      string `json:"name"`
	MAC       string `json:"mac"`
	TapsKnown bool   `json:"taps_known"`
	RXTap     bool   `json:"rx_tap"`
	TXTap     bool   `json:"tx_tap"`
	SomeHosts bool   `json:"some_hosts"`
	Filtered  bool   `json:"filtered"`
}

type listedProcess struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
	Name    string `json:"name"`
	Packets uint64 `json:"packets"`
}

// list prints the queues, or the one of a name.
func list(o options, stdout io.Writer) error {
	queues := queuesThere()
	if o.oneQueue {
		queues = slices.DeleteFunc(queues, func(q listedQueue) bool { return q.Name != o.queue })
		switch {
		case len(queues) == 0:
			return fmt.Errorf("there is no queue %s", o.queue)
		case queues[0].Error != "":
			return fmt.Errorf("queue %s: %s", o.queue, queues[0].Error)
		}
	}
	if o.json {
		return json.NewEncoder(stdout).Encode(listing{report.Schema, "collect", time.Now(), queues})
	}
	if len(queues) == 0 {
		fmt.Fprintf(stdout, "no queue in %s\n", queueDir)
	}
	for _, q := range queues {
		q.show(stdout)
	}
	return nil
}

// queueDir is where queues are.
const queueDir = "/dev/shm"

// queuesThere returns all queues, by name. A file that is not a queue is skipped. A file that has
// the name of a queue and cannot be read is listed with the reason.
func queuesThere() []listedQueue {
	all := []listedQueue{}
	var instances []rundir.Info
	for _, role := range []shm.Role{shm.RoleEthertap, shm.RoleCollect} {
		known, _ := rundir.List(context.Background(), role.String()) // names are optional
		instances = append(instances, known...)
	}
	paths, _ := filepath.Glob(filepath.Join(queueDir, "*"))
	for _, path := range paths {
		if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
			continue
		}
		q, err := look(filepath.Base(path), instances)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, shm.ErrForeign):
			continue
		case errors.Is(err, fs.ErrPermission):
			if !strings.HasPrefix(q.Name, shm.Prefix) {
				continue
			}
			q.Error = "permission denied; a queue is for its owner alone, usually root"
		case err != nil:
			q.Error = err.Error()
		}
		all = append(all, q)
	}
	return all
}

// look reads one queue. The result always has its name.
func look(name string, instances []rundir.Info) (listedQueue, error) {
	v := listedQueue{Name: name, Interfaces: []listedInterface{}, Producers: []listedProcess{}, Consumers: []listedProcess{}}
	q, err := shm.Open(name, shm.Options{Role: shm.RoleOther, Name: "list", NoCreate: true})
	if err != nil {
		return v, err
	}
	defer q.Close()
	st, err := q.Status()
	if err != nil {
		return v, err
	}
	interfaces, err := q.Interfaces()
	if err != nil {
		return v, err
	}
	participants, err := q.Participants()
	if err != nil {
		return v, err
	}
	v.Waiting, v.Slots, v.SlotSize, v.Room = st.Waiting, st.Slots, st.SlotSize, q.Room()
	v.Inserted, v.Full, v.Overwrite = st.Inserted, st.Full, st.Overwrite
	for _, p := range participants {
		if p.Self || !p.Alive {
			continue
		}
		if p.Producer {
			v.Producers = counted(v.Producers, p, participants, instances)
		}
		if p.Consumer {
			v.Consumers = counted(v.Consumers, p, participants, instances)
		}
	}
	for _, i := range interfaces {
		if len(v.Producers) == 0 {
			i.Taps = 0 // they were set by a program that is gone
		}
		v.Interfaces = append(v.Interfaces, listedInterface{
			Index: i.Index, Name: i.Name, MAC: net.HardwareAddr(i.MAC[:]).String(),
			TapsKnown: i.Taps&shm.TapStated != 0, RXTap: i.Taps&shm.TapRX != 0, TXTap: i.Taps&shm.TapTX != 0, SomeHosts: i.Taps&shm.TapHosts != 0, Filtered: i.Taps&shm.TapFilter != 0,
		})
	}
	return v, nil
}

// counted adds a producer or consumer to its process.
func counted(all []listedProcess, p shm.Participant, participants []shm.Participant, instances []rundir.Info) []listedProcess {
	for i := range all {
		if all[i].PID == p.PID && all[i].Program == p.Role.String() {
			all[i].Packets += p.Packets
			return all
		}
	}
	one := listedProcess{PID: p.PID, Program: p.Role.String(), Name: p.Name, Packets: p.Packets}
	for _, user := range participants { // the process as a whole has the name of its instance
		if user.PID == p.PID && user.Role == p.Role && !user.Producer && !user.Consumer {
			one.Name = user.Name
		}
	}
	for _, in := range instances {
		if in.Program == p.Role.String() && in.PID == p.PID {
			one.Name = in.Name
		}
	}
	return append(all, one)
}

// show prints a queue.
func (q listedQueue) show(w io.Writer) {
	fmt.Fprintln(w, q.Name)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	if q.Error != "" {
		row("error", "%s", q.Error)
		return
	}
	full := ""
	if q.Overwrite {
		full = ", the oldest overwritten when it is full"
	}
	row("waiting", "%d of %d packets of up to %d bytes%s", q.Waiting, q.Slots, q.Room, full)
	if len(q.Interfaces) > 0 && len(q.Producers) > 0 {
		row("taps", "%s", q.taps())
	}
	row("filled by", "%s", cmp.Or(processes(q.Producers), "nobody"))
	row("collected by", "%s", cmp.Or(processes(q.Consumers), "nobody"))
}

// taps describes the taps of the interfaces: "eth1 RX and TX, eth2 none".
func (q listedQueue) taps() string {
	var all []string
	for _, i := range q.Interfaces {
		what := "none"
		switch {
		case !i.TapsKnown:
			what = "unknown"
		case i.RXTap && i.TXTap:
			what = "RX and TX"
		case i.RXTap:
			what = "RX"
		case i.TXTap:
			what = "TX"
		}
		if i.SomeHosts && (i.RXTap || i.TXTap) {
			what += " of some hosts"
		}
		if i.Filtered {
			what += " by a filter"
		}
		all = append(all, i.Name+" "+what)
	}
	return strings.Join(all, ", ")
}

// processes lists processes: "ethertap PID 4711", with the name of the instance if it has one of
// its own.
func processes(list []listedProcess) string {
	var all []string
	for _, p := range list {
		text := fmt.Sprintf("%s PID %d", p.Program, p.PID)
		if p.Name != p.Program && p.Name != fmt.Sprint(p.PID) && p.Name != "" {
			text += " (" + p.Name + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
