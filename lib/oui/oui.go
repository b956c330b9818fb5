// SPDX-License-Identifier: BSD-3-Clause

// Package oui names the vendor of the network card that has an Ethernet address. It
// has the IEEE's assignments of 24 bits (MA-L), 28 bits (MA-M) and 36 bits (MA-S, and
// the older IAB), embedded and searched in place. Looking a name up needs no
// preparation, allocates nothing and takes a fraction of a microsecond.
//
// The package knows nothing else about networks: no addresses of protocols, no
// nicknames of vendors. Names are spelt as registered. It has no company ids (CID),
// since no universal address begins with one.
//
// # Data
//
// registry.dat is made by generate.go from Debian's package ieee-data. All
// numbers are big endian:
//
//	offset  size
//	 0       8    "ETAPOUI1"
//	 8      10    date of the registry, "2022-08-27"
//	18       4    A, number of 24-bit assignments
//	22       4    B, number of 28-bit assignments
//	26       4    C, number of 36-bit assignments
//	30      6*A   prefix<<20 | place of the name, ascending
//	        6*B   the same
//	        7*C   the same
//	              names, each once: a byte with its length, then UTF-8;
//	              a place counts from the first of them
package oui

import _ "embed"

//go:generate go run generate.go

//go:embed registry.dat
var data string

const (
	dateAt   = 8
	countsAt = 18
	tablesAt = 30

	placeBits = 20
)

// localAddress is the description of addresses that nobody registers.
const localAddress = "Locally Administered Address (LAA)"

// vendor returns the organisation that a MAC address is assigned to. Of several assignments the
// longest counts. An organisation that keeps its name secret is called "Private", and the
// unassigned part of a divided block belongs to the "IEEE Registration Authority". A group
// address belongs to the owner of the assignment from which it is made: 01:00:5e:… to that of
// 00:00:5e.
func vendor(mac [6]byte) (name string, ok bool) {
	name, ok = lookup(mac)
	if !ok && mac[0]&1 != 0 {
		mac[0] &^= 1
		name, ok = lookup(mac)
	}
	return name, ok
}

// Describe returns the name of the vendor of an address. For other addresses with the local bit
// set it returns "Locally Administered Address (LAA)", and "" if nothing is known, as of the
// broadcast address.
func Describe(mac [6]byte) string {
	if mac == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} {
		return ""
	}
	if name, ok := vendor(mac); ok {
		return name
	}
	if mac[0]&2 != 0 {
		return localAddress
	}
	return ""
}

// lookup searches the three tables, the longest prefixes first.
func lookup(mac [6]byte) (name string, ok bool) {
	long := int(number(countsAt, 4))
	medium := int(number(countsAt+4, 4))
	small := int(number(countsAt+8, 4))
	mediumAt := tablesAt + 6*long
	smallAt := mediumAt + 6*medium
	namesAt := smallAt + 7*small

	var address uint64
	for _, b := range mac {
		address = address<<8 | uint64(b)
	}
	place, ok := search(smallAt, small, 7, address>>12)
	if !ok {
		place, ok = search(mediumAt, medium, 6, address>>20)
	}
	if !ok {
		place, ok = search(tablesAt, long, 6, address>>24)
	}
	if !ok {
		return "", false
	}
	at := namesAt + place
	size := int(data[at])
	return data[at+1 : at+1+size], true
}

// search finds a prefix in the table at an offset of the data, which has n entries of width
// bytes.
func search(at, n, width int, prefix uint64) (place int, ok bool) {
	low, high := 0, n
	for low < high {
		middle := int(uint(low+high) / 2)
		entry := number(at+middle*width, width)
		switch found := entry >> placeBits; {
		case found == prefix:
			return int(entry & (1<<placeBits - 1)), true
		case found < prefix:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false
}

// number reads a big-endian number of width bytes.
func number(at, width int) uint64 {
	var v uint64
	for _, b := range []byte(data[at : at+width]) {
		v = v<<8 | uint64(b)
	}
	return v
}
