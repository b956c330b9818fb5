// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ethertap/collect/index"
	"ethertap/shm"
	"ethertap/tests/frames"
)

// What a recording notes gives the index that reading each file gives, byte by byte: in each format,
// compressed or not, with packets that are cut, several files, and an interface that comes late.
func TestDigestOfFiles(t *testing.T) {
	for _, format := range []Format{PCAP, PCAPNano, PCAPNG} {
		for _, z := range []bool{false, true} {
			for _, o := range []Options{{Rotate: Rotation{Packets: 2500}}, {Rotate: Rotation{Bytes: 100_000}, SnapLen: 60}, {Rotate: Rotation{Bytes: 100_000}, Limit: 300_000}} {
				t.Run(fmt.Sprintf("%v/zstd=%v/%+v/%d", format, z, o.Rotate, o.Limit), func(t *testing.T) {
					t.Parallel()
					var taken index.Digested
					made := 0
					o.Format, o.Zstd, o.Digest = format, z, taken.Take
					o.Interfaces = []shm.Interface{{Index: 0, Name: "a"}, {Index: 1, Name: "b"}}
					o.Closed = func(f ClosedFile) {
						made++
						if err := taken.Make(f.Path, int64(f.Bytes), f.Changed, func() error { return fmt.Errorf("%s is read", f.Path) }); err != nil {
							t.Fatal(err)
						}
						noted, err := os.ReadFile(index.Path(f.Path))
						if err != nil {
							t.Fatal(err)
						}
						if _, err := index.Make(f.Path, t.Context().Err); err != nil {
							t.Fatal(err)
						}
						if read, err := os.ReadFile(index.Path(f.Path)); err != nil || !bytes.Equal(noted, read) {
							t.Errorf("%s: the index of the digest is not that of the file: %v", f.Path, err)
						}
					}
					files := create(t, filepath.Join(t.TempDir(), "x.pcap"), o)
					r := frames.New(1)
					now := time.Now()
					for i := range 6000 {
						rec := shm.Record{Data: r.Frame(), Interface: uint16(i % 2), Direction: shm.RX}
						if i > 1500 && i%100 == 0 {
							rec.Interface = 2
						}
						if err := files.Append(now, 1.7e18+int64(i)*1_234_567, &rec); err == ErrLimit {
							break
						} else if err != nil {
							t.Fatal(err)
						}
						if i%700 == 0 || files.Full() {
							if err := files.Flush(); err != nil {
								t.Fatal(err)
							}
						}
					}
					if err := files.Close(now); err != nil {
						t.Fatal(err)
					}
					if made < 2 {
						t.Errorf("%d files", made)
					}
				})
			}
		}
	}
}

// After a write that failed, the index is not made of the digest.
func TestDigestOfFullDisk(t *testing.T) {
	var taken index.Digested
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	o := newStream(f, "full", newEncoder(PCAP, "", ""), nil, 0, 0)
	o.noted = &noted{to: taken.Take}
	if ok, err := o.Append(0, &shm.Record{Data: make([]byte, 60)}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := o.Close(0); err == nil {
		t.Fatal("/dev/full took it")
	}
	if taken.Whole() {
		t.Error("the digest counts as whole")
	}
}
