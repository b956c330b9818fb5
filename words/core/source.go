package core

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"ethertap/interp"
	"ethertap/lib"
)

var sourceWords = []interp.Word{
	{Name: "load", Stack: "( filename - )", Help: "runs a file as source; a name without a file is looked up among the embedded ones", Example: "\"prelude.rpcl\" load", Func: load},
	{Name: "load-if-present", Stack: "( filename - )", Help: "runs a file as source if there is one", Example: "\"/nonexistent.rpcl\" load-if-present", Func: loadIfPresent},
	{Name: "bye", Stack: "( - )", Help: "leaves the session", Example: "bye", Func: bye},
}

func load(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return runFile(s, name)
}

func loadIfPresent(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	if err := runFile(s, name); !missing(err) {
		return err
	}
	return nil
}

// missing tells whether the file to load itself is not there, and not one that it
// loads in turn.
func missing(err error) bool {
	var inside *interp.Error
	return errors.Is(err, fs.ErrNotExist) && !errors.As(err, &inside)
}

// runFile runs a file of the file system or, if there is none of that name, of the
// embedded library.
func runFile(s *interp.Session, name string) error {
	f, err := open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.Load(name, f)
}

func open(name string) (fs.File, error) {
	// A pipe or device could make the session wait for ever, at open or later.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err == nil {
		if info, statErr := f.Stat(); statErr != nil || !info.Mode().IsRegular() && name != os.DevNull {
			f.Close()
			return nil, fmt.Errorf("%s is no regular file", interp.Quote(name))
		}
		return f, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		for _, n := range []string{name, name + ".rpcl"} {
			if e, embedErr := lib.Files.Open(n); embedErr == nil {
				return e, nil
			}
		}
	}
	return nil, err
}

func bye(s *interp.Session) error { return s.Leave() }
