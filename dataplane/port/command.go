// SPDX-License-Identifier: BSD-3-Clause

package port

import "strings"

// Word returns a name as one word of a command that a message tells the user to run. A name of an interface
// may have any characters but blanks, slashes and colons, and who owns another network namespace chooses
// those of the ends in it.
func Word(name string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+"
	if name != "" && strings.Trim(name, plain) == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
