// SPDX-License-Identifier: BSD-3-Clause

package interp

// Hexdump returns b in the form of `hexdump -C`: lines of 16 bytes with offset and text, each
// ended by a newline. Empty data gives one empty line of that form.
func Hexdump(b []byte) string {
	out := make([]byte, 0, (len(b)/16+1)*74)
	for off := 0; ; off += 16 {
		out = appendOffset(out, off)
		for i := 0; i < 16; i++ {
			if off+i < len(b) {
				x := b[off+i]
				out = append(out, hexDigits[x>>4], hexDigits[x&15], ' ')
			} else {
				out = append(out, "   "...)
			}
			if i == 7 {
				out = append(out, ' ')
			}
		}
		out = append(out, " |"...)
		for i := 0; i < 16; i++ {
			switch {
			case off+i >= len(b):
				out = append(out, ' ')
			case b[off+i] < ' ' || b[off+i] > '~':
				out = append(out, '.')
			default:
				out = append(out, b[off+i])
			}
		}
		out = append(out, "|\n"...)
		if off+16 >= len(b) {
			return string(out)
		}
	}
}

// appendOffset appends off in at least four hexadecimal digits, and two blanks.
func appendOffset(out []byte, off int) []byte {
	digits := 4
	for off>>(4*digits) != 0 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		out = append(out, hexDigits[off>>(4*i)&15])
	}
	return append(out, "  "...)
}
