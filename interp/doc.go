// SPDX-License-Identifier: BSD-3-Clause

// Package interp is the RPCL virtual machine: values, data stack, dictionary,
// tokens, compiler, inner loop, errors and sources.
//
// RPCL (Reverse Polish Configuration and Control Language) is a stack language
// in the manner of Forth with networking data types. A Dict holds the words and
// is shared by all sessions; a Session is one prompt or one running script with
// stacks, input and output of its own. Applications add words as a Set, a plain
// table of Word records. Help, listing, completion and the check of inputs derive from
// the record of a word.
//
// The package knows no application, opens no terminal and no socket, and imports
// only the standard library. Its files in reading order: value, literal, convert,
// compare and hexdump (data), scan and lookalike (tokens), word, dict, entry and memory (the
// dictionary), compile, control and inputs (definitions and structures), session, run
// (the inner loop), source (files, lines, prompt) and error.
package interp
