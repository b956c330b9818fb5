// SPDX-License-Identifier: BSD-3-Clause

package keys

import (
	"errors"
	"slices"
	"testing"
	"time"
)

var errNoMore = errors.New("no more keys")

// typing gives keys as a terminal does, and then none.
type typing struct{ b []byte }

func (k *typing) Key(wait time.Duration) (byte, bool, error) {
	if len(k.b) == 0 {
		if wait < 0 {
			return 0, false, errNoMore
		}
		return 0, false, nil
	}
	c := k.b[0]
	k.b = k.b[1:]
	return c, true, nil
}

// Keys are told apart however many bytes they have; those that nobody knows are passed over.
func TestKeys(t *testing.T) {
	k := &typing{b: []byte("q\té\x1b[A\x1b[5~\x1bOB\x1b[Z\x1b[200;7~p\x1b")}
	var got []Key
	for {
		key, ok, err := Reader(k.Key).Next(-1)
		if err != nil {
			break
		}
		if !ok {
			t.Error("no key, and no error")
		}
		got = append(got, key)
	}
	if want := []Key{"q", "tab", "é", "up", "page-up", "down", "shift-tab", "", "p", "escape"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if key, ok, err := Reader(k.Key).Next(0); key != "" || ok || err != nil {
		t.Errorf("none was pressed: %q, %v, %v", key, ok, err)
	}
}
