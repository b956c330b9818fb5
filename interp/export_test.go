// SPDX-License-Identifier: BSD-3-Clause

package interp

// Fusions returns the number of fused sequences of instructions.
func Fusions() int { return len(fusions) }

// Fused counts in seen the fusions that compiled source contains, by their places in the table.
func Fused(s *Session, source string, seen map[int]int) error {
	def, err := s.compileLine("fused", source)
	if err != nil {
		return err
	}
	for _, in := range def.code.ins {
		for i, f := range fusions {
			if in.op == f.fused {
				seen[i]++
			}
		}
	}
	return nil
}
