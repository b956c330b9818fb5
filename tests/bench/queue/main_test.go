// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The processes of a measurement are this program again.
func TestMain(m *testing.M) {
	if job := os.Getenv(jobEnv); job != "" {
		if err := serve(job); err != nil {
			fmt.Fprintf(os.Stderr, "bench queue: %s: %v\n", job, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every row of the table can be measured, on both rings. How long it takes is not looked at.
func TestRows(t *testing.T) {
	rows := table(640)
	if len(rows) != 2*2+2*2*2*2*2+2 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		for _, peer := range row.Peers {
			if peer.Aim <= 0 {
				t.Errorf("%s: %s: no aim", row.Name, peer.Name)
			}
			if ns, err := peer.Run(); err != nil || ns <= 0 {
				t.Errorf("%s: %s: %v, %v", row.Name, peer.Name, ns, err)
			}
		}
		if ns, err := row.Ours.Run(); err != nil || ns <= 0 {
			t.Errorf("%s: %v, %v", row.Name, ns, err)
		}
	}
	left, err := os.ReadDir("/dev/shm")
	if err != nil {
		t.Fatal(err)
	}
	mine := fmt.Sprintf("ethertap-bench.%d.", os.Getpid())
	for _, f := range left {
		if strings.HasPrefix(f.Name(), mine) {
			t.Errorf("/dev/shm/%s is left behind", f.Name())
		}
	}
}
