package port

import "errors"

// Undo is what has to be done, last first, to be as before.
type Undo []func() error

// Push adds a step; nil is none.
func (u *Undo) Push(fn func() error) {
	if fn != nil {
		*u = append(*u, fn)
	}
}

// Run does all but the first keep steps, whatever fails, and forgets them.
func (u *Undo) Run(keep int) error {
	var errs []error
	for i := len(*u) - 1; i >= keep; i-- {
		if err := (*u)[i](); err != nil {
			errs = append(errs, err)
		}
	}
	*u = (*u)[:keep]
	return errors.Join(errs...)
}
