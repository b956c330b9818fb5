// SPDX-License-Identifier: BSD-3-Clause

package port

import "errors"

// Undo is a list of steps that restore an earlier state. They are taken from the last to the first.
type Undo []func() error

// Push adds a step. It ignores nil.
func (u *Undo) Push(fn func() error) {
	if fn != nil {
		*u = append(*u, fn)
	}
}

// Run takes all steps but the first keep, even if some fail, and removes them from the list. It
// joins their errors.
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
