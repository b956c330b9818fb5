// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"ethertap/interp"
)

// These words connect a script to its environment: arguments, environment variables, standard
// input, exit status.
var scriptWords = []interp.Word{
	{Name: "argc", Stack: "( - n )", Help: "number of arguments of the script, its name not counted", Example: "argc .", Func: argc},
	{Name: "argv", Stack: "( n - string )", Help: "argument n of the script, from 1 on; 0 is its name", Example: "0 argv .", Func: argv},
	{Name: "getenv", Stack: "( name - string )", Help: "the value of an environment variable, empty if there is none", Example: "\"HOME\" getenv .", Func: getenv},
	{Name: "read-line", Stack: "( - string flag )", Help: "the next line of standard input and true, or an empty string and false at its end; a script on standard input reads its own next line", Example: "read-line .s", Func: readLine},
	{Name: "key", Stack: "( - code )", Help: "waits for a key and gives its code; without a terminal, the next byte of standard input", Example: "key? if key . then", Func: key},
	{Name: "key?", Stack: "( - flag )", Help: "whether a key was pressed that key has not yet given", Example: "key? .", Func: keyPressed},
	{Name: "exit-status", Stack: "( n - )", Help: "the exit status that the program is to end with, 0 to 255", Example: "0 exit-status", Func: exitStatus},
}

// arguments is the key under which a session keeps the arguments of its script.
type arguments struct{}

// SetArguments sets what argc and argv give: the name of the script, then its arguments.
func SetArguments(s *interp.Session, args []string) { s.SetLocal(arguments{}, args) }

// args returns the name of the script and its arguments; at a prompt the name is empty.
func args(s *interp.Session) []string {
	if a, ok := s.Local(arguments{}).([]string); ok && len(a) > 0 {
		return a
	}
	return []string{""}
}

func argc(s *interp.Session) error { return s.Push(interp.NewInt(int64(len(args(s)) - 1))) }

func argv(s *interp.Session) error {
	all := args(s)
	n, err := s.PopRange("argument", 0, int64(len(all)-1))
	if err != nil {
		return err
	}
	return pushText(s, all[n])
}

// pushText pushes text that comes from outside of RPCL.
func pushText(s *interp.Session, text string) error {
	if !utf8.ValidString(text) {
		return errors.New("it is not UTF-8 text")
	}
	return s.Push(interp.NewString(text))
}

func getenv(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return pushText(s, os.Getenv(name))
}

// readLine takes a line only when the stack has room for its results.
func readLine(s *interp.Session) error {
	if err := s.Push(interp.Value{}); err != nil {
		return err
	}
	if err := s.Room(); err != nil {
		return err
	}
	if _, err := s.Pop(); err != nil {
		return err
	}
	line, ok, err := s.ReadLine()
	if err != nil {
		return err
	}
	if err := s.Push(interp.NewString(line)); err != nil {
		return err
	}
	return s.Push(interp.NewFlag(ok))
}

func key(s *interp.Session) error {
	if err := s.Room(); err != nil {
		return err
	}
	k, _, err := s.Key(-1)
	if err == io.EOF {
		return errors.New("standard input has ended")
	}
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(k)))
}

func keyPressed(s *interp.Session) error {
	ok, err := s.KeyWaits()
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(ok))
}

func exitStatus(s *interp.Session) error {
	n, err := s.PopRange("exit status", 0, 255)
	if err != nil {
		return err
	}
	s.SetStatus(int(n))
	return nil
}
