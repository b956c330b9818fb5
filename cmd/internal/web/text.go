// SPDX-License-Identifier: BSD-3-Clause

package web

import "regexp"

// path is an absolute path in a message.
var path = regexp.MustCompile(`(^|[\s"'(=:])/[^\s"'():;,]*`)

// withoutPaths takes the paths of files out of a message: they are for whoever has the machine.
func withoutPaths(message string) string { return path.ReplaceAllString(message, "$1…") }
