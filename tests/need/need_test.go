// SPDX-License-Identifier: BSD-3-Clause

package need

import (
	"fmt"
	"runtime"
	"testing"
)

// end notes how a test ends, as testing.T would end it.
type end struct {
	testing.TB
	how string
}

func (e *end) Helper() {}

func (e *end) Fatalf(format string, args ...any) {
	e.how = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (e *end) Skipf(format string, args ...any) {
	e.how = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// What is missing skips a test, and fails it in CI; what is there does neither.
func TestMissingIsAFailureInCI(t *testing.T) {
	const tool = "no-such-program"
	const why = `needs no-such-program: exec: "no-such-program": executable file not found in $PATH`
	for _, c := range []struct{ ci, tool, want string }{
		{"", tool, "skipped: " + why},
		{"false", tool, "skipped: " + why},
		{"true", tool, "failed: " + why + " (CI=true: not skipped)"},
		{"", "go", "ran"},
		{"true", "go", "ran"},
	} {
		t.Setenv("CI", c.ci)
		e := end{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			Tool(&e, c.tool)
			e.how = "ran"
		}()
		<-done
		if e.how != c.want {
			t.Errorf("CI=%s, %s: %s, want %s", c.ci, c.tool, e.how, c.want)
		}
	}
}
