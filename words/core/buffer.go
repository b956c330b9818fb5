// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"encoding/binary"
	"fmt"

	"ethertap/interp"
)

var bufferWords = []interp.Word{
	{Name: "buffer", Stack: "( size name - )", Help: "makes a buffer of so many bytes, all 0; its name is used like a variable's", Example: "16 table buffer", Func: newBuffer},
	{Name: "b@", Stack: "( index buffer - byte )", Help: "fetches a byte", Example: "16 table buffer\n3 table b@ .", Inline: interp.OpByteFetch, Func: byteFetch},
	{Name: "b!", Stack: "( byte index buffer - )", Help: "stores a byte", Example: "16 table buffer\n255 3 table b!\n3 table b@ .", Inline: interp.OpByteStore, Func: byteStore},
	{Name: "cell@", Stack: "( index buffer - n )", Help: "fetches a cell; cell i is the bytes from 8 times i on", Example: "16 table buffer\n1 table cell@ .", Inline: interp.OpCellFetch, Func: cellFetch},
	{Name: "cell!", Stack: "( n index buffer - )", Help: "stores a cell", Example: "16 table buffer\n-5 1 table cell!\n1 table cell@ .", Inline: interp.OpCellStore, Func: cellStore},
	{Name: "buffer.size", Stack: "( buffer - n )", Help: "size of a buffer in bytes", Example: "16 table buffer\ntable buffer.size .", Func: bufferSize},
	{Name: "buffer.fill", Stack: "( byte buffer - )", Help: "stores a byte in every place", Example: "16 table buffer\n1 table buffer.fill", Func: bufferFill},
	{Name: "fill", Stack: "( buffer n byte - )", Help: "stores a byte in the first n places", Example: "16 table buffer\ntable 4 255 fill\n0 16 table buffer.get .", Func: fill},
	{Name: "move", Stack: "( from to n - )", Help: "copies the first n bytes of a buffer to another", Example: "16 here-it-is buffer 16 there buffer\nhere-it-is 8 1 fill\nhere-it-is there 4 move\n0 16 there buffer.get .", Func: moveBytes},
	{Name: "buffer.get", Stack: "( index length buffer - data )", Help: "copies bytes out of a buffer", Example: "16 table buffer\n0 4 table buffer.get .", Func: bufferGet},
	{Name: "buffer.put", Stack: "( data index buffer - )", Help: "copies data into a buffer, from index on", Example: "16 table buffer\n\"abc\" 2 table buffer.put\n0 16 table buffer.get .", Func: bufferPut},
	{Name: "buffers", Stack: "( - )", Help: "lists the buffers and their sizes", Example: "16 table buffer\nbuffers", Func: listBuffers},
}

const cellSize = 8

func newBuffer(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	size, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.DefineBuffer(name, size)
}

// at takes a buffer and an index. It returns the bytes of the element at the index, where
// elements have size bytes.
func at(s *interp.Session, size int) ([]byte, error) {
	b, err := s.PopBuffer()
	if err != nil {
		return nil, err
	}
	if len(b) < size {
		return nil, fmt.Errorf("the buffer has %d bytes only", len(b))
	}
	i, err := s.PopRange("index", 0, int64(len(b)/size-1))
	if err != nil {
		return nil, err
	}
	return b[int(i)*size:][:size], nil
}

func byteFetch(s *interp.Session) error {
	b, err := at(s, 1)
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(b[0])))
}

func byteStore(s *interp.Session) error {
	b, err := at(s, 1)
	if err != nil {
		return err
	}
	n, err := s.PopRange("byte", 0, 0xff)
	if err != nil {
		return err
	}
	b[0] = byte(n)
	return nil
}

func cellFetch(s *interp.Session) error {
	b, err := at(s, cellSize)
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(binary.LittleEndian.Uint64(b))))
}

func cellStore(s *interp.Session) error {
	b, err := at(s, cellSize)
	if err != nil {
		return err
	}
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b, uint64(n))
	return nil
}

func bufferSize(s *interp.Session) error {
	b, err := s.PopBuffer()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(len(b))))
}

func bufferFill(s *interp.Session) error {
	b, err := s.PopBuffer()
	if err != nil {
		return err
	}
	n, err := s.PopRange("byte", 0, 0xff)
	if err != nil {
		return err
	}
	for i := range b {
		b[i] = byte(n)
	}
	return nil
}

func fill(s *interp.Session) error {
	b, err := s.PopRange("byte", 0, 0xff)
	if err != nil {
		return err
	}
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	first, err := start(s, n)
	if err != nil {
		return err
	}
	for i := range first {
		first[i] = byte(b)
	}
	return nil
}

func moveBytes(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	to, err := start(s, n)
	if err != nil {
		return err
	}
	from, err := start(s, n)
	if err != nil {
		return err
	}
	copy(to, from)
	return nil
}

// start takes a buffer and returns its first n bytes.
func start(s *interp.Session, n int64) ([]byte, error) {
	b, err := s.PopBuffer()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(b)) {
		return nil, fmt.Errorf("%d bytes are not inside the buffer of %d", n, len(b))
	}
	return b[:n], nil
}

func bufferGet(s *interp.Session) error {
	b, err := s.PopBuffer()
	if err != nil {
		return err
	}
	length, err := s.PopRange("length", 0, min(int64(len(b)), interp.MaxValue))
	if err != nil {
		return err
	}
	i, err := s.PopRange("index", 0, int64(len(b))-length)
	if err != nil {
		return err
	}
	return s.Push(interp.NewData(b[i : i+length]))
}

func bufferPut(s *interp.Session) error {
	b, err := s.PopBuffer()
	if err != nil {
		return err
	}
	i, err := s.PopInt()
	if err != nil {
		return err
	}
	data, err := s.PopData()
	if err != nil {
		return err
	}
	if last := int64(len(b) - len(data)); i < 0 || i > last {
		return fmt.Errorf("%d bytes from index %d on are not inside the buffer of %d", len(data), i, len(b))
	}
	copy(b[i:], data)
	return nil
}

func listBuffers(s *interp.Session) error {
	for _, name := range s.Dict().Buffers() {
		if b, err := s.Buffer(interp.NewString(name)); err == nil { // otherwise another session has deleted it since
			list(s, name, fmt.Sprintf("%d bytes", len(b)))
		}
	}
	return nil
}
