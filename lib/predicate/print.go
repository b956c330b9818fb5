// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"fmt"
	"strings"
)

// Text formats a tree in one line, for words that show filters: operators with brackets, loads as
// tcpdump writes them, fields by the names of the words of RPCL.
func Text(e Expr) string {
	s := e.text()
	if strings.HasPrefix(s, "(") {
		return s[1 : len(s)-1]
	}
	return s
}

func (n Number) text() string { return fmt.Sprint(int64(n)) }
func (Length) text() string   { return "len" }
func (Inbound) text() string  { return "inbound" }
func (f Field) text() string  { return fieldTable[f].name }
func (i Is) text() string     { return "is " + i.Any.String() }
func (n Not) text() string    { return "(not " + n.A.text() + ")" }
func (a And) text() string    { return "(" + a.A.text() + " and " + a.B.text() + ")" }
func (o Or) text() string     { return "(" + o.A.text() + " or " + o.B.text() + ")" }

func (l Load) text() string {
	if l.Size == 1 {
		return "[" + Text(l.At) + "]"
	}
	return fmt.Sprintf("[%s:%d]", Text(l.At), l.Size)
}

func (n Need) text() string { return "(need " + n.Any.String() + ": " + Text(n.Then) + ")" }

func (a Address) text() string {
	if a.Low == a.High {
		return "(" + a.Of.text() + " = " + a.Low.String() + ")"
	}
	return "(" + a.Of.text() + " in " + a.Low.String() + "-" + a.High.String() + ")"
}

func (c Calculate) text() string {
	op := operators[c.Op]
	if c.Narrow {
		op += "32"
	}
	return "(" + c.A.text() + " " + op + " " + c.B.text() + ")"
}

func (c Compare) text() string {
	return "(" + c.A.text() + " " + comparisons[c.Op] + " " + c.B.text() + ")"
}

func (i If) text() string {
	return "(if " + Text(i.Cond) + " then " + Text(i.Then) + " else " + Text(i.Else) + ")"
}
