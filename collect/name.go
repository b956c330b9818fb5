// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// part is the end of the name of a file of a set that is being written.
const part = ".part"

// pattern makes the names of a set of files. It has a directory that exists, and below it
// directories and a base name with the conversions of strftime, and %N for the number of the file
// in the set.
type pattern struct {
	dir   string
	parts []namePart // the last one is the base name
}

// namePart is the part of a pattern between two slashes.
type namePart struct {
	text  string
	match *regexp.Regexp // matches a name of the set; its only group, if any, is the number. nil: the text as it is
}

// conversions are those of a pattern: the expression each matches, and its meaning.
var conversions = map[byte]struct {
	match  string
	layout string // layout of package time
}{
	'Y': {`\d{4,}`, "2006"}, 'm': {`\d\d`, "01"}, 'd': {`\d\d`, "02"},
	'H': {`\d\d`, "15"}, 'M': {`\d\d`, "04"}, 'S': {`\d\d`, "05"},
	'y': {`\d\d`, "06"}, 'b': {`[A-Z][a-z]{2}`, "Jan"}, 'a': {`[A-Z][a-z]{2}`, "Mon"},
	'F': {`\d{4,}-\d\d-\d\d`, "2006-01-02"}, 'z': {`[+-]\d{4}`, "-0700"},
	's': {`\d+`, ""}, 'f': {`\d{6}`, ""}, 'N': {`(\d{5,})`, ""}, '%': {`%`, ""},
}

// hasConversion says whether a path has conversions, in the name of the file or of a directory.
func hasConversion(path string) bool { return strings.Contains(path, "%") }

// namesFile refuses a path that can only name a directory, since text appended to it would make
// it the name of a file.
func namesFile(path string) error {
	switch path[strings.LastIndex(path, "/")+1:] {
	case "", ".", "..":
		return fmt.Errorf("%s is a directory; name a file in it", path)
	}
	return nil
}

// newPattern parses a path. A plain base name of a set becomes name_NUMBER_TIME.pcap, which
// Wireshark recognizes as a set of files.
func newPattern(path string, set bool) (*pattern, error) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	if set && !hasConversion(base) {
		stem, ext := splitExt(base)
		base = stem + "_%N_%Y%m%d%H%M%S" + ext
	}
	p := &pattern{dir: dir}
	var dirs []string
	if at := strings.Index(dir, "%"); at >= 0 { // directories from there on are made
		at = strings.LastIndex(dir[:at], "/") + 1
		p.dir, dirs = filepath.Clean(dir[:at]), strings.Split(dir[at:], "/")
	}
	for _, text := range dirs {
		part := namePart{text: text}
		if hasConversion(text) {
			match, err := expression(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			part.match = regexp.MustCompile("^" + match + "$")
		}
		p.parts = append(p.parts, part)
	}
	stem, ext := splitExt(base)
	var match [2]string
	for i, s := range []string{stem, ext} {
		var err error
		if match[i], err = expression(s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	p.parts = append(p.parts, namePart{base, regexp.MustCompile("^" + match[0] + `(?:-\d+)?` + match[1] + "$")})
	numbers := 0
	for _, part := range p.parts {
		if part.match != nil {
			numbers += part.match.NumSubexp()
		}
	}
	if numbers > 1 {
		return nil, errors.New(path + ": %N twice")
	}
	return p, nil
}

// expression returns the regular expression for the names that a pattern makes.
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

// name returns the name of a file opened at t. again tells apart files of the same name.
func (p *pattern) name(t time.Time, number, again int) string {
	path := p.dir
	for _, part := range p.parts {
		path = filepath.Join(path, expand(part.text, t, number))
	}
	if again > 0 {
		stem, ext := splitExt(path)
		path = fmt.Sprintf("%s-%d%s", stem, again+1, ext)
	}
	return path
}

// expand replaces the conversions.
func expand(text string, t time.Time, number int) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; c {
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
	return b.String()
}

// found is an existing file of the set.
type found struct {
	path   string
	number int
	time   time.Time // of the last change
	part   bool
}

// list finds the files of the set, the oldest first. Only plain files belong to it.
func (p *pattern) list() ([]found, error) {
	if _, err := os.ReadDir(p.dir); err != nil {
		return nil, err
	}
	all, err := list(nil, p.dir, p.parts, 0)
	slices.SortFunc(all, func(a, b found) int {
		if a.number != b.number {
			return a.number - b.number
		}
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	return all, err
}

// list appends the files of a set below a directory. number is the number that the names of the
// directories contain, if any.
func list(all []found, dir string, parts []namePart, number int) ([]found, error) {
	here, rest := parts[0], parts[1:]
	if here.match == nil {
		return list(all, filepath.Join(dir, here.text), rest, number)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, unfinished := e.Name(), false
		if len(rest) == 0 {
			name, unfinished = strings.CutSuffix(name, part)
		}
		m := here.match.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		path, number := filepath.Join(dir, e.Name()), number
		if len(m) > 1 {
			number, _ = strconv.Atoi(m[1])
		}
		if len(rest) > 0 {
			if all, err = list(all, path, rest, number); err != nil {
				return nil, err
			}
			continue
		}
		if !e.Type().IsRegular() {
			continue
		}
		f := found{path: path, number: number, part: unfinished}
		if info, err := e.Info(); err == nil {
			f.time = info.ModTime()
		}
		all = append(all, f)
	}
	return all, nil
}

// makeDirs makes the missing directories of a file of the set. Like the files, they are only for
// their owner.
func (p *pattern) makeDirs(path string) error {
	dirs := p.dirs(path)
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Mkdir(dirs[i], 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// removeDirs removes the directories of a removed file, as far as they are empty.
func (p *pattern) removeDirs(path string) {
	for _, dir := range p.dirs(path) {
		if os.Remove(dir) != nil {
			return
		}
	}
}

// dirs returns the directories of a file that come from the pattern, the innermost first.
func (p *pattern) dirs(path string) (all []string) {
	for range p.parts[1:] {
		path = filepath.Dir(path)
		all = append(all, path)
	}
	return all
}
