// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"
)

// What a user of tcpdump or dumpcap types out of habit is answered with the option that
// does it here; the options of the usage text mean what it says.
func TestHabits(t *testing.T) {
	for args, want := range map[string]string{
		"-c 5 x.pcap":             "-c shows the copyright; to end after 5 packets: -p 5",
		"-c5":                     "-p 5",
		"-nc 5 x.pcap":            "-p 5",
		"--count=5 x.pcap":        "--count: to end after 5 packets: -p 5",
		"-s 65535 -w x.pcap":      "-s is for silence; to keep 65535 bytes of each packet: --snaplen 65535",
		"x.pcap -s 0":             "--snaplen 0",
		"--snapshot-length 96 x":  "--snapshot-length: to keep 96 bytes",
		"-w x.pcap":               "-w: the file is named without an option: collect x.pcap",
		"-i any x.pcap":           "-i: packets come from a queue",
		"-D":                      "to see the queues: --list",
		"-G 60 x.pcap":            "--rotate seconds=60",
		"-C 100 x.pcap":           "--rotate size=100M",
		"-W 5 x.pcap":             "--ring 5",
		"-r x.pcap":               "tcpdump -r x.pcap",
		"-z gzip x.pcap":          "--exec gzip",
		"-b filesize:1000 x.pcap": "-b takes a number of bytes; to begin another file: --rotate size=1000k",
		"-b duration:60 x.pcap":   "--rotate seconds=60",
		"-b interval:60 x.pcap":   "--rotate interval=60",
		"-b packets:60 x.pcap":    "--rotate packets=60",
		"-b files:3 x.pcap":       "--ring 3",
		"-a duration:60 x.pcap":   "--duration 60",
		"-a filesize:10 x.pcap":   "--blimit 10k",
		"-a packets:10 x.pcap":    "--plimit 10",
		"-q x.pcap":               "-q takes the name of a queue; to see no progress: -s",
		"-p x.pcap":               "-p takes a number of packets",
		"-U x.pcap":               "-U: it is not needed",
		"-Q out x.pcap":           "--filter outbound",
		"-f udp x.pcap":           "--filter 'udp'",
		"-nX x.pcap":              "collect -s - | tcpdump -X -r -",
		"x.pcap tcp port 80":      "one output file, not 4; a filter is an option: --filter 'tcp port 80'",
		"tcp port 80":             "--filter 'tcp port 80'",
		"-w":                      "collect x.pcap",
	} {
		o, err := parse(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v, want %s", args, o, err, want)
		}
	}
	for _, args := range []string{
		"-s x.pcap", "-s ./5", "-b 1000 x.pcap", "-nsp 5 x.pcap", "-p5 x.pcap", "-q w x.pcap", "--name -w x.pcap", "-- -w", "x.pcap -s",
		"--queue -c x.pcap", "-c", "-cs", "-s -c -q 5 x.pcap", "-b 5k 5",
	} {
		if _, err := parse(strings.Fields(args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
