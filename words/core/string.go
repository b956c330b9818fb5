// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

// Strings are counted in characters, not bytes, so that no word can cut a character in two.
var stringWords = []interp.Word{
	{Name: `s"`, Stack: `( "text" - string )`, Help: "the text up to the quote, in which a backslash is one", Example: "s\" C:\\temp\" .", Func: textTaken},
	{Name: "str.len", Stack: "( string - n )", Help: "number of characters", Example: "\"grüezi\" str.len .", Func: strLen},
	{Name: "str.cat", Stack: "( a b - string )", Help: "a with b behind it; numbers and addresses become text", Example: "\"eth\" 0 str.cat .", Func: strCat},
	{Name: "str.slice", Stack: "( string start count - string )", Help: "at most count characters from start on, counted from 0, or from the end if it is negative", Example: "\"tap.queue\" 4 3 str.slice .\n\"tap.queue\" -5 5 str.slice .", Func: strSlice},
	{Name: "str.find", Stack: "( string part - index )", Help: "where part first stands in the string, or -1", Example: "\"tap.queue\" \".\" str.find .", Func: strFind},
	{Name: "str.starts", Stack: "( string part - flag )", Help: "whether the string begins with part", Example: "\"tap.queue\" \"tap.\" str.starts .", Func: strTest(strings.HasPrefix)},
	{Name: "str.ends", Stack: "( string part - flag )", Help: "whether the string ends with part", Example: "\"x.pcap\" \".pcap\" str.ends .", Func: strTest(strings.HasSuffix)},
	{Name: "str.split", Stack: "( string separator - part… n )", Help: "the parts between the separators, the last on top, and how many there are; an empty separator splits at blanks", Example: "\"10.1.2.3\" \".\" str.split .s\n.cs \"  one two \" \"\" str.split .s", Func: strSplit},
	{Name: "str.join", Stack: "( [part…] n separator - string )", Help: "n parts in one string, with the separator between them", Example: "1 2 3 3 \"-\" str.join .", Func: strJoin},
	{Name: "str.replace", Stack: "( string old new - string )", Help: "replaces every old by new", Example: "\"a-b-c\" \"-\" \":\" str.replace .", Func: strReplace},
	{Name: "str.upper", Stack: "( string - string )", Help: "in capital letters", Example: "\"arp\" str.upper .", Func: strMap(strings.ToUpper)},
	{Name: "str.lower", Stack: "( string - string )", Help: "in small letters", Example: "\"ARP\" str.lower .", Func: strMap(strings.ToLower)},
	{Name: "str.trim", Stack: "( string - string )", Help: "without blanks at its ends", Example: "\"  x \" str.trim .", Func: strMap(strings.TrimSpace)},
	{Name: "str.repeat", Stack: "( string n - string )", Help: "the string n times", Example: "\"-\" 20 str.repeat .", Func: strRepeat},
	{Name: "str.code", Stack: "( string index - code )", Help: "the Unicode number of the character at index, negative from the end", Example: "\"A\" 0 str.code .", Func: strCode},
	{Name: "str.format", Stack: "( [value…] format - string )", Help: "puts the values into the places of the format: %d %u %x %X %o %b numbers, %s anything, %c a character, %q as one types it, %% a percent sign; with width and flags as printf has them", Example: "\"eth0\" 42 \"%-8s %5d frames\" str.format .", Func: strFormat},
}

func strLen(s *interp.Session) error {
	text, err := s.PopString()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(utf8.RuneCountInString(text))))
}

// popTwo takes two strings, the deeper one first.
func popTwo(s *interp.Session) (a, b string, err error) {
	if b, err = s.PopString(); err != nil {
		return "", "", err
	}
	a, err = s.PopString()
	return a, b, err
}

func strCat(s *interp.Session) error {
	b, err := s.Pop()
	if err != nil {
		return err
	}
	a, err := s.Pop()
	if err != nil {
		return err
	}
	if a.Kind() != interp.KindString {
		text, err := a.Str()
		if err != nil {
			return err
		}
		a = interp.NewString(text)
	}
	var digits [20]byte // a number becomes text here without an allocation
	if b.Kind() == interp.KindInt {
		n, _ := b.Int()
		return s.Push(a.Append(strconv.AppendInt(digits[:0], n, 10)))
	}
	text, err := b.Str()
	if err != nil {
		return err
	}
	return s.Push(a.Append([]byte(text)))
}

// window clips start and count to n elements. A negative start counts from the end.
func window(n int, start, count int64) (from, to int, err error) {
	if count < 0 {
		return 0, 0, fmt.Errorf("count %d is negative", count)
	}
	if start < 0 {
		start = max(0, start+int64(n))
	}
	start = min(start, int64(n))
	count = min(count, int64(n)-start)
	return int(start), int(start + count), nil
}

// popWindow takes the start and the count of a slice.
func popWindow(s *interp.Session) (start, count int64, err error) {
	if count, err = s.PopInt(); err != nil {
		return 0, 0, err
	}
	start, err = s.PopInt()
	return start, count, err
}

func strSlice(s *interp.Session) error {
	start, count, err := popWindow(s)
	if err != nil {
		return err
	}
	text, err := s.PopString()
	if err != nil {
		return err
	}
	from, to, err := window(utf8.RuneCountInString(text), start, count)
	if err != nil {
		return err
	}
	a := byteIndex(text, from)
	return s.Push(interp.NewPart(text[a:a+byteIndex(text[a:], to-from)], text))
}

// byteIndex returns where character number n begins.
func byteIndex(text string, n int) int {
	for i := range text {
		if n == 0 {
			return i
		}
		n--
	}
	return len(text)
}

func strFind(s *interp.Session) error {
	text, part, err := popTwo(s)
	if err != nil {
		return err
	}
	i := strings.Index(text, part)
	if i > 0 {
		i = utf8.RuneCountInString(text[:i])
	}
	return s.Push(interp.NewInt(int64(i)))
}

// strTest makes the function of a word that tests two strings.
func strTest(test func(text, part string) bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		text, part, err := popTwo(s)
		if err != nil {
			return err
		}
		return s.Push(interp.NewFlag(test(text, part)))
	}
}

// strMap makes the function of a word that turns a string into another.
func strMap(f func(string) string) func(*interp.Session) error {
	return func(s *interp.Session) error {
		text, err := s.PopString()
		if err != nil {
			return err
		}
		return s.Push(interp.NewPart(f(text), text))
	}
}

func strSplit(s *interp.Session) error {
	text, separator, err := popTwo(s)
	if err != nil {
		return err
	}
	var parts []string
	if separator == "" {
		parts = strings.Fields(text)
	} else {
		parts = strings.SplitN(text, separator, interp.MaxStack+1)
	}
	if err := s.RoomFor(len(parts) + 1); err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.Push(interp.NewPart(p, text)); err != nil {
			return err
		}
	}
	return s.Push(interp.NewInt(int64(len(parts))))
}

func strJoin(s *interp.Session) error {
	separator, err := s.PopString()
	if err != nil {
		return err
	}
	n, err := s.PopRange("number of parts", 0, interp.MaxStack)
	if err != nil {
		return err
	}
	parts := make([]string, n)
	for i := range parts {
		if parts[len(parts)-1-i], err = s.PopString(); err != nil {
			return err
		}
	}
	return s.Push(interp.NewString(strings.Join(parts, separator)))
}

func strReplace(s *interp.Session) error {
	old, replacement, err := popTwo(s)
	if err != nil {
		return err
	}
	text, err := s.PopString()
	if err != nil {
		return err
	}
	if old == "" {
		return errors.New("the text to be replaced is empty")
	}
	if n := strings.Count(text, old); n > 0 && len(replacement) > interp.MaxValue/n {
		return errTooLong
	}
	return s.Push(interp.NewString(strings.ReplaceAll(text, old, replacement)))
}

// errTooLong is the error for a result that would be too large to make.
var errTooLong = fmt.Errorf("value longer than %d bytes", interp.MaxValue)

func strRepeat(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	text, err := s.PopString()
	switch {
	case err != nil:
		return err
	case n < 0:
		return fmt.Errorf("count %d is negative", n)
	case text == "":
		n = 0
	case n > int64(interp.MaxValue/len(text)):
		return errTooLong
	}
	return s.Push(interp.NewString(strings.Repeat(text, int(n))))
}

func strCode(s *interp.Session) error {
	i, err := s.PopInt()
	if err != nil {
		return err
	}
	text, err := s.PopString()
	if err != nil {
		return err
	}
	n := int64(utf8.RuneCountInString(text))
	if i < -n || i >= n {
		return fmt.Errorf("no character %d in a string of %d", i, n)
	}
	if i < 0 {
		i += n
	}
	r, _ := utf8.DecodeRuneInString(text[byteIndex(text, int(i)):])
	return s.Push(interp.NewInt(int64(r)))
}

// textTaken does nothing: the text of s" is on the stack already.
func textTaken(*interp.Session) error { return nil }
