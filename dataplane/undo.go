package dataplane

import "errors"

// undo is what has to be done, last first, to be as before. Start fills it; a
// failed Start and Stop run it.
type undo []func() error

func (u *undo) push(fn func() error) {
	if fn != nil {
		*u = append(*u, fn)
	}
}

// run does all but the first keep of it, whatever fails, and forgets it.
func (u *undo) run(keep int) error {
	var errs []error
	for i := len(*u) - 1; i >= keep; i-- {
		if err := (*u)[i](); err != nil {
			errs = append(errs, err)
		}
	}
	*u = (*u)[:keep]
	return errors.Join(errs...)
}
