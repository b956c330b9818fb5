// SPDX-License-Identifier: BSD-3-Clause

//go:build ignore

// Generate makes registry.dat from the csv files of Debian's package ieee-data. The documentation
// of the package gives the format. The same files always give the same bytes.
package main

import (
	"cmp"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func main() {
	from := flag.String("from", "/usr/share/ieee-data", "directory with the csv files")
	to := flag.String("to", "registry.dat", "file to write")
	flag.Parse()
	data, err := generate(*from)
	if err == nil {
		err = os.WriteFile(*to, data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// assignments are the names by prefix. A few prefixes are assigned to several organisations.
type assignments map[uint64][]string

func generate(dir string) ([]byte, error) {
	date, err := lastUpdate(filepath.Join(dir, ".lastupdate"))
	if err != nil {
		return nil, err
	}
	tables := map[int]assignments{6: {}, 7: {}, 9: {}} // by hexadecimal digits of the prefix
	for _, file := range []string{"oui.csv", "mam.csv", "oui36.csv", "iab.csv"} {
		if err := read(filepath.Join(dir, file), tables); err != nil {
			return nil, err
		}
	}

	var names []byte
	places := map[string]uint64{}
	for _, digits := range []int{6, 7, 9} {
		for _, prefix := range slices.Sorted(maps.Keys(tables[digits])) {
			name := join(tables[digits][prefix])
			if _, ok := places[name]; ok {
				continue
			}
			if len(name) > 255 {
				return nil, fmt.Errorf("prefix %x: name of %d bytes", prefix, len(name))
			}
			places[name] = uint64(len(names))
			names = append(append(names, byte(len(name))), name...)
		}
	}
	if len(names) >= 1<<20 {
		return nil, fmt.Errorf("names of %d bytes: their places do not fit into 20 bits", len(names))
	}

	data := append([]byte("ETAPOUI1"), date...)
	for _, digits := range []int{6, 7, 9} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(tables[digits])))
	}
	for _, digits := range []int{6, 7, 9} {
		width := (digits*4 + 20 + 7) / 8
		for _, prefix := range slices.Sorted(maps.Keys(tables[digits])) {
			var entry [8]byte
			binary.BigEndian.PutUint64(entry[:], prefix<<20|places[join(tables[digits][prefix])])
			data = append(data, entry[8-width:]...)
		}
	}
	return append(data, names...), nil
}

// lastUpdate reads when the registries were fetched, in seconds since 1970.
func lastUpdate(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// read adds the assignments of one file with the columns registry, prefix, name and address.
func read(file string, tables map[int]assignments) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0][:3], []string{"Registry", "Assignment", "Organization Name"}) {
		return errors.New(file + ": not a registry")
	}
	for i, row := range rows[1:] {
		prefix, err := strconv.ParseUint(row[1], 16, 64)
		table, known := tables[len(row[1])]
		if err != nil || !known {
			return fmt.Errorf("%s: assignment %d: bad prefix %q", file, i+1, row[1])
		}
		name := normal(row[2])
		if name == "" || !utf8.ValidString(name) {
			return fmt.Errorf("%s: assignment %d: bad name %q", file, i+1, row[2])
		}
		table[prefix] = append(table[prefix], name)
	}
	return nil
}

// normal replaces each white space by one blank, and removes invisible characters.
func normal(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	return strings.Join(strings.Fields(name), " ")
}

// join makes one name of all names of a prefix.
func join(names []string) string {
	names = slices.Clone(names)
	slices.SortFunc(names, cmp.Compare[string])
	return strings.Join(slices.Compact(names), " / ")
}
