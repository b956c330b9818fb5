package collect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// part is the end of the name of a file of a set that is being written.
const part = ".part"

// pattern makes the names of a set of files: a directory and a base name with
// conversions of strftime, and %N for the number of the file in the set.
type pattern struct {
	dir, base string
	match     *regexp.Regexp // a name of the set; the only group is the number, if there is one
}

// conversions of a pattern: what each matches, and what it is.
var conversions = map[byte]struct {
	match  string
	layout string // of package time
}{
	'Y': {`\d{4,}`, "2006"}, 'm': {`\d\d`, "01"}, 'd': {`\d\d`, "02"},
	'H': {`\d\d`, "15"}, 'M': {`\d\d`, "04"}, 'S': {`\d\d`, "05"},
	'y': {`\d\d`, "06"}, 'b': {`[A-Z][a-z]{2}`, "Jan"}, 'a': {`[A-Z][a-z]{2}`, "Mon"},
	'F': {`\d{4,}-\d\d-\d\d`, "2006-01-02"}, 'z': {`[+-]\d{4}`, "-0700"},
	's': {`\d+`, ""}, 'f': {`\d{6}`, ""}, 'N': {`(\d{5,})`, ""}, '%': {`%`, ""},
}

// hasConversion says whether a file name is a pattern.
func hasConversion(path string) bool { return strings.Contains(filepath.Base(path), "%") }

// newPattern reads one. A plain name of a set becomes name_NUMBER_TIME.pcap, which
// Wireshark knows as a set of files.
func newPattern(path string, set bool) (*pattern, error) {
	p := &pattern{dir: filepath.Dir(path), base: filepath.Base(path)}
	if set && !hasConversion(path) {
		stem, ext := splitExt(p.base)
		p.base = stem + "_%N_%Y%m%d%H%M%S" + ext
	}
	stem, ext := splitExt(p.base)
	var match [2]string
	for i, s := range []string{stem, ext} {
		var err error
		if match[i], err = expression(s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if strings.Count(match[0]+match[1], conversions['N'].match) > 1 {
		return nil, errors.New(path + ": %N twice")
	}
	p.match = regexp.MustCompile("^" + match[0] + `(?:-\d+)?` + match[1] + "$")
	return p, nil
}

// expression is the regular expression for what a pattern makes.
func expression(s string) (string, error) {
	var match strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			match.WriteString(regexp.QuoteMeta(s[i : i+1]))
			continue
		}
		if i++; i == len(s) {
			return "", errors.New("ends with a single %; a percent sign is written %%")
		}
		c, ok := conversions[s[i]]
		if !ok {
			return "", fmt.Errorf("%%%c is none of %%Y %%m %%d %%H %%M %%S %%y %%b %%a %%F %%z %%s %%f %%N; a percent sign is written %%%%", s[i])
		}
		match.WriteString(c.match)
	}
	return match.String(), nil
}

// splitExt splits off ".pcap" or ".pcap.zst".
func splitExt(base string) (stem, ext string) {
	stem = strings.TrimSuffix(base, ".zst")
	if e := filepath.Ext(stem); len(e) < len(stem) {
		stem = strings.TrimSuffix(stem, e)
	}
	return stem, base[len(stem):]
}

// name is that of a file opened at t. again tells apart files of the same name.
func (p *pattern) name(t time.Time, number, again int) string {
	var b strings.Builder
	for i := 0; i < len(p.base); i++ {
		if p.base[i] != '%' {
			b.WriteByte(p.base[i])
			continue
		}
		i++
		switch c := p.base[i]; c {
		case '%':
			b.WriteByte('%')
		case 'N':
			fmt.Fprintf(&b, "%05d", number)
		case 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		default:
			b.WriteString(t.Format(conversions[c].layout))
		}
	}
	name := b.String()
	if again > 0 {
		stem, ext := splitExt(name)
		name = fmt.Sprintf("%s-%d%s", stem, again+1, ext)
	}
	return filepath.Join(p.dir, name)
}

// found is a file of the set that is there already.
type found struct {
	path   string
	number int
	time   time.Time // of its last change
	part   bool
}

// list finds the files of the set, the oldest first. Something other than a plain
// file is none of ours.
func (p *pattern) list() ([]found, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, e := range entries {
		name, unfinished := strings.CutSuffix(e.Name(), part)
		m := p.match.FindStringSubmatch(name)
		if m == nil || !e.Type().IsRegular() {
			continue
		}
		f := found{path: filepath.Join(p.dir, e.Name()), part: unfinished}
		if len(m) > 1 {
			f.number, _ = strconv.Atoi(m[1])
		}
		if info, err := e.Info(); err == nil {
			f.time = info.ModTime()
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b found) int {
		if a.number != b.number {
			return a.number - b.number
		}
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	return all, nil
}
