// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ethertap/interp"
)

func printed(t *testing.T, show func(*interp.Session)) string {
	t.Helper()
	dict, err := interp.NewDict()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	show(s)
	s.Flush()
	return out.String()
}

// Each column of the users and producers of a queue, and each key, has its own value.
func TestColumnsOfUsers(t *testing.T) {
	u := users{"q", []user{{1, "collect", "consumer", 2, "eve", true}, {3, "rpclsh", "user", 4, "bob", false}}}
	p := producers{"q", []producer{{1, "ethertap", 2, 3, 4, 5, 6, 7, "tap", true}}}
	for _, c := range []struct {
		value       any
		text        string
		rows, keyed string
	}{
		{u, printed(t, func(s *interp.Session) { showUsers(s, u) }),
			`    pid program   role           packets  name
      1 collect   consumer             2  eve
      3 rpclsh    user                 4  bob (ended)
`,
			`{"queue":"q","users":[{"pid":1,"program":"collect","role":"consumer","packets":2,"name":"eve","alive":true},` +
				`{"pid":3,"program":"rpclsh","role":"user","packets":4,"name":"bob","alive":false}]}`},
		{p, printed(t, func(s *interp.Session) { showProducers(s, p) }),
			`    pid program        offered     inserted         full overwrote truncated  orphaned  name
      1 ethertap             2            3            4         5         6         7  tap
`,
			`{"queue":"q","producers":[{"pid":1,"program":"ethertap","offered":2,"inserted":3,"full":4,"overwritten":5,"truncated":6,"orphaned":7,"name":"tap","alive":true}]}`},
	} {
		if c.text != c.rows {
			t.Errorf("printed\n%s", c.text)
		}
		if b, err := json.Marshal(c.value); err != nil || string(b) != c.keyed {
			t.Errorf("%s, %v", b, err)
		}
	}
}
