// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"bytes"
	endian "encoding/binary" // since arithmetic.go has a function called binary
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

// Data is immutable: words that patch it leave a changed copy. Offsets count bytes from 0. Words
// with an h use the byte order of this host, all others that of the network.
var dataWords = []interp.Word{
	{Name: "datacat", Stack: "( data data - data )", Help: "concatenates data", Example: "\"ab\" \"cd\" datacat .", Func: datacat},
	{Name: "data.new", Stack: "( n - data )", Help: "n bytes of 0", Example: "20 data.new .", Func: dataNew},
	{Name: "data.len", Stack: "( data - n )", Help: "number of bytes", Example: "\"abc\" data.len .", Func: dataLen},
	{Name: "data.slice", Stack: "( data start count - data )", Help: "at most count bytes from start on, counted from 0, or from the end if it is negative", Example: "\"abcdef\" 1 3 data.slice .\n\"abcdef\" -2 2 data.slice .", Func: dataSlice},
	{Name: "data.find", Stack: "( data part - offset )", Help: "where part first stands in the data, or -1", Example: "\"abcdef\" \"cd\" data.find .", Func: dataFind},
	{Name: "data.patch", Stack: "( data part offset - data )", Help: "the data with part in place of the bytes from offset on", Example: "\"abcdef\" \"XY\" 2 data.patch .", Func: dataPatch},
	{Name: "data.8@", Stack: "( data offset - n )", Help: "the byte at offset", Example: "\"abc\" 1 data.8@ .", Func: fetchBytes(1, endian.BigEndian)},
	{Name: "data.16@", Stack: "( data offset - n )", Help: "the number in 2 bytes at offset, network order", Example: "\"88cc0001\" hex->data 0 data.16@ 16 num->base .", Func: fetchBytes(2, endian.BigEndian)},
	{Name: "data.32@", Stack: "( data offset - n )", Help: "the number in 4 bytes at offset, network order", Example: "\"00000102\" hex->data 0 data.32@ .", Func: fetchBytes(4, endian.BigEndian)},
	{Name: "data.64@", Stack: "( data offset - n )", Help: "the number in 8 bytes at offset, network order", Example: "\"0000000000000102\" hex->data 0 data.64@ .", Func: fetchBytes(8, endian.BigEndian)},
	{Name: "data.h16@", Stack: "( data offset - n )", Help: "the number in 2 bytes at offset, host order", Example: "\"0100\" hex->data 0 data.h16@ .", Func: fetchBytes(2, endian.NativeEndian)},
	{Name: "data.h32@", Stack: "( data offset - n )", Help: "the number in 4 bytes at offset, host order", Example: "\"01000000\" hex->data 0 data.h32@ .", Func: fetchBytes(4, endian.NativeEndian)},
	{Name: "data.h64@", Stack: "( data offset - n )", Help: "the number in 8 bytes at offset, host order", Example: "\"0100000000000000\" hex->data 0 data.h64@ .", Func: fetchBytes(8, endian.NativeEndian)},
	{Name: "data.8!", Stack: "( data n offset - data )", Help: "the data with the byte n at offset", Example: "\"abc\" 0x58 1 data.8! .", Func: storeBytes(1, endian.BigEndian)},
	{Name: "data.16!", Stack: "( data n offset - data )", Help: "the data with n in 2 bytes at offset, network order", Example: "4 data.new 0x88cc 0 data.16! .", Func: storeBytes(2, endian.BigEndian)},
	{Name: "data.32!", Stack: "( data n offset - data )", Help: "the data with n in 4 bytes at offset, network order", Example: "4 data.new 258 0 data.32! .", Func: storeBytes(4, endian.BigEndian)},
	{Name: "data.64!", Stack: "( data n offset - data )", Help: "the data with n in 8 bytes at offset, network order", Example: "8 data.new -1 0 data.64! .", Func: storeBytes(8, endian.BigEndian)},
	{Name: "data.h16!", Stack: "( data n offset - data )", Help: "the data with n in 2 bytes at offset, host order", Example: "2 data.new 1 0 data.h16! .", Func: storeBytes(2, endian.NativeEndian)},
	{Name: "data.h32!", Stack: "( data n offset - data )", Help: "the data with n in 4 bytes at offset, host order", Example: "4 data.new 1 0 data.h32! .", Func: storeBytes(4, endian.NativeEndian)},
	{Name: "data.h64!", Stack: "( data n offset - data )", Help: "the data with n in 8 bytes at offset, host order", Example: "8 data.new 1 0 data.h64! .", Func: storeBytes(8, endian.NativeEndian)},
	{Name: "data.crc32", Stack: "( data - n )", Help: "the CRC of 32 bits that Ethernet uses", Example: "\"123456789\" data.crc32 16 num->base .", Func: dataCRC},
	{Name: "hex->data", Stack: "( string - data )", Help: "the bytes that hexadecimal digits stand for; blanks, colons and dashes between bytes are skipped", Example: "\"01 80:c2\" hex->data .", Func: hexToData},
	{Name: "data->hex", Stack: "( data - string )", Help: "two hexadecimal digits a byte", Example: "\"abc\" data->hex .", Func: dataToHex},
	{Name: "str->data", Stack: "( item - data )", Help: "the bytes of a string, of an address or range, or of data of another type", Example: "\"abc\" str->data .\n10.1.1.1 str->data .", Func: strToData},
	{Name: "data->str", Stack: "( data - string )", Help: "data that is UTF-8 text as a string", Example: "\"616263\" hex->data data->str .", Func: dataToStr},
	{Name: "num->data", Stack: "( n size - data )", Help: "the lowest size bytes of n, 1 to 8, network order", Example: "258 2 num->data .", Func: numToData},
	{Name: "data->num", Stack: "( data - n )", Help: "the number in 1 to 8 bytes, network order, without a sign", Example: "\"0102\" hex->data data->num .", Func: dataToNum},
}

func pushData(s *interp.Session, b []byte) error { return s.Push(interp.NewData(b)) }

func datacat(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	a, err := s.Pop()
	if err != nil {
		return err
	}
	if a.Kind() != interp.KindData || a.Subtype() != interp.Generic {
		bytes, err := a.Data()
		if err != nil {
			return err
		}
		a = interp.NewData(bytes)
	}
	return s.Push(a.Append(b))
}

func dataNew(s *interp.Session) error {
	n, err := s.PopRange("length", 0, interp.MaxValue)
	if err != nil {
		return err
	}
	return pushData(s, make([]byte, n))
}

func dataLen(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(len(b))))
}

func dataSlice(s *interp.Session) error {
	start, count, err := popWindow(s)
	if err != nil {
		return err
	}
	b, err := s.PopData()
	if err != nil {
		return err
	}
	from, to, err := window(len(b), start, count)
	if err != nil {
		return err
	}
	return pushData(s, b[from:to])
}

func dataFind(s *interp.Session) error {
	part, err := s.PopData()
	if err != nil {
		return err
	}
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(bytes.Index(b, part))))
}

// field returns the n bytes of b at an offset.
func field(b []byte, offset int64, n int) ([]byte, error) {
	if offset < 0 || offset > int64(len(b)-n) {
		return nil, fmt.Errorf("no %d bytes at offset %d in data of %d", n, offset, len(b))
	}
	return b[offset : int(offset)+n], nil
}

func dataPatch(s *interp.Session) error {
	offset, err := s.PopInt()
	if err != nil {
		return err
	}
	part, err := s.PopData()
	if err != nil {
		return err
	}
	b, err := s.PopData()
	if err != nil {
		return err
	}
	at, err := field(b, offset, len(part))
	if err != nil {
		return err
	}
	copy(at, part)
	return pushData(s, b)
}

// fetchBytes makes the function of a word that reads a number of n bytes.
func fetchBytes(n int, order endian.ByteOrder) func(*interp.Session) error {
	return func(s *interp.Session) error {
		offset, err := s.PopInt()
		if err != nil {
			return err
		}
		b, err := s.PopData()
		if err != nil {
			return err
		}
		at, err := field(b, offset, n)
		if err != nil {
			return err
		}
		var u uint64
		switch n {
		case 1:
			u = uint64(at[0])
		case 2:
			u = uint64(order.Uint16(at))
		case 4:
			u = uint64(order.Uint32(at))
		case 8:
			u = order.Uint64(at)
		}
		return s.Push(interp.NewInt(int64(u)))
	}
}

// storeBytes makes the function of a word that writes a number of n bytes. A number fits if its
// bits do, with or without a sign.
func storeBytes(n int, order endian.ByteOrder) func(*interp.Session) error {
	lo, hi := int64(-1)<<(8*n-1), int64(1)<<(8*n)-1
	if n == 8 {
		lo, hi = -1<<63, 1<<63-1
	}
	return func(s *interp.Session) error {
		offset, err := s.PopInt()
		if err != nil {
			return err
		}
		x, err := s.PopRange("number", lo, hi)
		if err != nil {
			return err
		}
		b, err := s.PopData()
		if err != nil {
			return err
		}
		at, err := field(b, offset, n)
		if err != nil {
			return err
		}
		switch n {
		case 1:
			at[0] = byte(x)
		case 2:
			order.PutUint16(at, uint16(x))
		case 4:
			order.PutUint32(at, uint32(x))
		case 8:
			order.PutUint64(at, uint64(x))
		}
		return pushData(s, b)
	}
}

func dataCRC(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(crc32.ChecksumIEEE(b))))
}

func hexToData(s *interp.Session) error {
	text, err := s.PopString()
	if err != nil {
		return err
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\r:-", r) {
			return -1
		}
		return r
	}, text)
	b, err := hex.DecodeString(digits)
	switch {
	case errors.Is(err, hex.ErrLength):
		return errors.New("an odd number of hexadecimal digits")
	case err != nil:
		return interp.NewString(text).Unfit("hexadecimal digits, two a byte")
	}
	return pushData(s, b)
}

func dataToHex(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(hex.EncodeToString(b)))
}

func strToData(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return pushData(s, b)
}

func dataToStr(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return errors.New("the data is not UTF-8 text")
	}
	return s.Push(interp.NewString(string(b)))
}

func numToData(s *interp.Session) error {
	size, err := s.PopRange("size", 1, 8)
	if err != nil {
		return err
	}
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return pushData(s, lowest(n, int(size)))
}

// lowest returns the lowest size bytes of a number, in network order.
func lowest(n int64, size int) []byte {
	return endian.BigEndian.AppendUint64(nil, uint64(n))[8-size:]
}

// number is the reverse of lowest; b has 8 bytes at most.
func number(b []byte) int64 {
	var whole [8]byte
	copy(whole[8-len(b):], b)
	return int64(endian.BigEndian.Uint64(whole[:]))
}

func dataToNum(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	if len(b) < 1 || len(b) > 8 {
		return fmt.Errorf("a number has 1 to 8 bytes, not %d", len(b))
	}
	return s.Push(interp.NewInt(number(b)))
}
