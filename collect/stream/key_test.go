// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"
)

// key is an NKEY of a user: what the server knows, and the file that the user has.
type key struct{ public, file string }

func newKey(t testing.TB) key {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return key{public, file}
}
