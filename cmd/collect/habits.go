// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"ethertap/lib/filter"
)

// habits are options of tcpdump and dumpcap that collect does not have, or has with another
// meaning. Each returns the way to do the same here. It returns "" if the operand shows that the
// option was meant as collect has it.
var habits = map[byte]func(operand string) string{
	// collect has these; see meanings.
	'c': func(o string) string {
		if !digits(o) {
			return ""
		}
		return "to end after " + o + " packets: -p " + o
	},
	's': func(o string) string {
		if !digits(o) {
			return ""
		}
		return "to keep " + o + " bytes of each packet: --snaplen " + o + "; a file of that name: ./" + o
	},
	'p': func(o string) string {
		if !isCapture(o) {
			return ""
		}
		return "interfaces and their modes are ethertap's"
	},
	'q': func(o string) string {
		if !isCapture(o) {
			return ""
		}
		return "to see no progress: -s"
	},
	'b': func(o string) string { return condition(o, false) },
	// collect does not have these.
	'a': func(o string) string {
		return cmp.Or(condition(o, true), "to end: --duration, --plimit or --blimit")
	},
	'w': func(o string) string { return "the file is named without an option: collect " + cmp.Or(o, "x.pcap") },
	'i': func(string) string {
		return "packets come from a queue, which ethertap fills from its interfaces; --queue names another, --list shows all"
	},
	'D': func(string) string { return "to see the queues: --list" },
	'G': func(o string) string {
		return "to begin another file: --rotate seconds=" + cmp.Or(o, "60") + ", or by the clock --rotate interval=1h"
	},
	'C': func(o string) string {
		if digits(o) {
			o += "M"
		}
		return "to begin another file: --rotate size=" + cmp.Or(o, "100M")
	},
	'W': func(o string) string { return "to keep the last files only: --ring " + cmp.Or(o, "10") },
	'r': func(o string) string { return "collect records and does not read: tcpdump -r " + cmp.Or(o, "x.pcap") },
	'z': func(o string) string {
		return "to run a command on each closed file: --exec " + cmp.Or(o, "gzip") + "; to compress: --zstd"
	},
	'f': func(o string) string { return "to choose packets: --filter '" + cmp.Or(o, "tcp port 443") + "'" },
	'F': func(o string) string { return `to choose packets: --filter "$(cat ` + cmp.Or(o, "file") + `)"` },
	'B': func(string) string { return "the buffer is the queue, as long as ethertap --queue-slots makes it" },
	'Q': func(o string) string {
		return "to choose a direction: --filter " + map[bool]string{true: "outbound", false: "inbound"}[strings.HasPrefix(o, "out")]
	},
	'j': func(string) string { return "the time of a packet: --timestamp write or receive" },
	'U': atOnce, 'l': atOnce,
	'P': func(string) string { return "the format: --format pcap, pcap-ns or pcapng" },
}

// longHabits are the long forms of such options.
var longHabits = map[string]byte{
	"count": 'c', "interface": 'i', "snapshot-length": 's', "list-interfaces": 'D', "direction": 'Q', "buffer-size": 'B',
	"time-stamp-type": 'j', "packet-buffered": 'U', "immediate-mode": 'U', "line-buffered": 'U',
	"time-stamp-precision": 'P', "nano": 'P', "micro": 'P',
	"autostop": 'a', "ring-buffer": 'b', "write": 'w', "output": 'w', "read": 'r', "read-file": 'r',
}

// meanings says what options mean here that mean something else there.
var meanings = map[string]string{
	"-c": " shows the copyright; ", "-s": " is for silence; ", "-p": " takes a number of packets; ", "-q": " takes the name of a queue; ",
	"-b": " takes a number of bytes; ",
}

func atOnce(string) string {
	return "it is not needed: packets that come slowly are written at once"
}

// printing are the options of tcpdump that say how packets are printed.
const printing = "AeNStuxX"

// habit recognizes a habit on the command line: an option that collect does not have, or the
// operand of one that means something else here. It returns the error to be shown, or nil.
func habit(f *pflag.FlagSet, args []string) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		next := ""
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			next = args[i+1]
		}
		switch {
		case arg == "--":
			return nil
		case strings.HasPrefix(arg, "--"):
			name, value, has := strings.Cut(arg[2:], "=")
			if !has {
				value = next
			}
			if known := f.Lookup(name); known == nil {
				if letter, ok := longHabits[name]; ok {
					return answered("--"+name, letter, value)
				}
			} else if !has && known.NoOptDefVal == "" {
				i++
			}
		case len(arg) > 1 && arg[0] == '-':
			for at := 1; at < len(arg); at++ {
				letter, operand := arg[at], arg[at+1:]
				if operand == "" {
					operand = next
				}
				if err := answered("-"+string(letter), letter, operand); err != nil {
					return err
				}
				if known := f.ShorthandLookup(string(letter)); known == nil || known.NoOptDefVal == "" {
					if at+1 == len(arg) {
						i++
					}
					break
				}
			}
		}
	}
	return nil
}

// answered returns the error for one option.
func answered(option string, letter byte, operand string) error {
	if strings.IndexByte(printing, letter) >= 0 {
		return fmt.Errorf("%s: collect records and does not print: collect -s - | tcpdump %s -r -", option, option)
	}
	answer := habits[letter]
	if answer == nil {
		return nil
	}
	if text := answer(operand); text != "" {
		return errors.New(option + cmp.Or(meanings[option], ": ") + text)
	}
	return nil
}

// operands returns the error for operands that are not exactly one file. A tcpdump command line
// ends with a filter.
func operands(args []string) error {
	var err error
	if len(args) > 0 {
		err = fmt.Errorf("one output file, not %d", len(args))
		for _, rest := range [][]string{args, args[1:]} {
			if text := strings.Join(rest, " "); text != "" && filterOf(text) {
				return fmt.Errorf("%w; a filter is an option: --filter '%s'", err, text)
			}
		}
		return err
	}
	return errors.New("no output file named")
}

func filterOf(text string) bool {
	_, err := filter.Compile(text)
	return err == nil
}

// condition translates a condition of dumpcap, such as duration:60, which says when to end or
// when to begin another file.
func condition(o string, end bool) string {
	key, value, ok := strings.Cut(o, ":")
	if !ok || !digits(value) {
		return ""
	}
	if end {
		switch key {
		case "duration":
			return "to end after that time: --duration " + value
		case "filesize":
			return "to end at that size: --blimit " + value + "k"
		case "packets":
			return "to end after so many packets: --plimit " + value
		}
		return ""
	}
	const another = "to begin another file: --rotate "
	switch key {
	case "duration":
		return another + "seconds=" + value
	case "interval":
		return another + "interval=" + value
	case "filesize":
		return another + "size=" + value + "k"
	case "packets":
		return another + "packets=" + value
	case "files":
		return "to keep the last files only: --ring " + value
	}
	return ""
}

// digits says whether a text is a number.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// isCapture says whether a text looks like the name of a capture file.
func isCapture(s string) bool {
	switch filepath.Ext(s) {
	case ".pcap", ".pcapng", ".cap":
		return true
	}
	return false
}
