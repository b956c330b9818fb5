package interp

// Fusions returns how many sequences of instructions are done at once.
func Fusions() int { return len(fusions) }

// Fused adds to seen the fusions that compiled source holds, by their places in the table.
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
