package console

import (
	"strings"
	"unicode/utf8"
)

// tokenBefore is what stands between the last blank and the cursor. Words hold
// no blanks, so this is what may become one.
func tokenBefore(line []rune, pos int) string {
	pos = min(max(pos, 0), len(line))
	i := pos
	for i > 0 && line[i-1] != ' ' && line[i-1] != '\t' {
		i--
	}
	return string(line[i:pos])
}

// commonPrefix is what all words begin with.
func commonPrefix(words []string) string {
	p := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, p) {
			p = p[:len(p)-1]
		}
	}
	return p
}

// columns sets words in columns, read downwards, no wider than width.
func columns(words []string, width int) string {
	widest := 0
	for _, w := range words {
		widest = max(widest, utf8.RuneCountInString(w))
	}
	cell := widest + 2
	across := max(1, (width-1)/cell)
	rows := (len(words) + across - 1) / across
	var b strings.Builder
	for r := range rows {
		for i := r; i < len(words); i += rows {
			b.WriteString(words[i])
			if i+rows < len(words) {
				b.WriteString(strings.Repeat(" ", cell-utf8.RuneCountInString(words[i])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
