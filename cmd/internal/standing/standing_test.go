// SPDX-License-Identifier: BSD-3-Clause

package standing

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ethertap/cmd/internal/rundir"
)

// Who asks gets what is so now; without a socket there is no stream, and nonsense is an error.
func TestAsk(t *testing.T) {
	t.Setenv(rundir.Env, filepath.Join(t.TempDir(), "run"))
	in, err := rundir.Register(t.Context(), "collect", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if all := All(t.Context()); len(all) != 0 {
		t.Errorf("%v", all)
	}
	want := Standing{PID: os.Getpid(), Address: "nats://a:4222/TAPS", Acknowledged: 5, InFlight: 4, Held: 3, Retried: 2, Behind: 1, Lost: 7, Connected: true}
	now := want // of the goroutine that serves
	stop, err := Serve(in.SocketPath(), func() Standing { now.Acknowledged++; return now })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		want.Acknowledged++
		if all := All(t.Context()); !reflect.DeepEqual(all, map[string]Standing{"a": want}) {
			t.Errorf("%v, not %v", all, want)
		}
	}
	if got := want.String(); got != "into nats://a:4222/TAPS: 7 packets acknowledged, 4 in flight, 1 packets behind, 3 bytes held, 2 messages retried; 7 packets lost before" {
		t.Errorf("%q", got)
	}
	stop()
	l, err := net.Listen("unix", in.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write([]byte("nonsense"))
			c.Close()
		}
	}()
	list, err := rundir.List(t.Context(), "collect")
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if _, ok, err := Ask(list[0]); ok || err == nil || !strings.Contains(err.Error(), "does not say how it stands") {
		t.Errorf("%v, %v", ok, err)
	}
}
