// SPDX-License-Identifier: BSD-3-Clause

package policy

// Shape is a kind of distribution.
type Shape uint8

const (
	Uniform Shape = iota // delay ± jitter, each equally likely
	Normal               // the jitter is the standard deviation
	Pareto               // with exponent 3: few delays are much longer; the jitter is the standard deviation
	Table                // a number of a table, times the jitter
)

var shapes = [...]string{Uniform: "uniform", Normal: "normal", Pareto: "pareto"}

// TableScale is the number in a table that stands for one jitter, as in the tables of iproute2, and
// TableSize the most numbers that one has.
const (
	TableScale = 8192
	TableSize  = 16384
)

// Distribution says how delays lie around Fault.Delay. The zero value is uniform.
type Distribution struct {
	Shape Shape
	Name  string // the file of a table
	Table string // its numbers, 1 to TableSize, two bytes each, the higher one first
}

// NamedDistribution returns one that needs no table. ok is false if none has the name.
func NamedDistribution(name string) (d Distribution, ok bool) {
	for shape, known := range shapes {
		if known == name {
			return Distribution{Shape: Shape(shape)}, true
		}
	}
	return d, false
}

// TableDistribution returns that of a table from a file.
func TableDistribution(file string, numbers []int16) Distribution {
	table := make([]byte, 0, 2*len(numbers))
	for _, n := range numbers {
		table = append(table, byte(uint16(n)>>8), byte(n))
	}
	return Distribution{Table, file, string(table)}
}

// Len returns how many numbers the table has, and At the i-th of them.
func (d *Distribution) Len() uint32 { return uint32(len(d.Table) / 2) }

func (d *Distribution) At(i uint32) int16 {
	return int16(uint16(d.Table[2*i])<<8 | uint16(d.Table[2*i+1]))
}

// String returns the name, or the file of a table.
func (d Distribution) String() string {
	if d.Shape == Table {
		return d.Name
	}
	return shapes[d.Shape]
}

// MarshalText implements encoding.TextMarshaler.
func (d Distribution) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// valid says whether the table is there if it has to be.
func (d *Distribution) valid() bool {
	n := len(d.Table)
	return d.Shape < Table && n == 0 || d.Shape == Table && n > 0 && n%2 == 0 && n <= 2*TableSize
}
