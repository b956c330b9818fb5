// Package interp is the RPCL virtual machine: values, data stack, dictionary,
// tokens, compiler, inner loop, errors and sources.
//
// RPCL (Reverse Polish Configuration and Control Language) is a stack language
// in the manner of Forth with networking data types. A Dict holds the words and
// is shared by all sessions; a Session is one prompt or one running script with
// stacks, input and output of its own. Applications add words as a Set, a plain
// table of Word records: everything that is said about a word elsewhere (help,
// listing, completion, arity check) derives from its record.
//
// The package knows no application, opens no terminal and no socket, and imports
// the standard library only. Its files in reading order: value, literal, convert,
// compare and hexdump (data), scan and lookalike (tokens), word, dict and memory (the
// dictionary), compile, control and inputs (definitions and structures), session, run
// (the inner loop), source (files, lines, prompt) and error.
package interp
