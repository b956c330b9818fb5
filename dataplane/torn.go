// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import "ethertap/dataplane/xsk"

// discardPieces takes out of n received entries those of frames that came in several pieces
// though none were asked for, frees their chunks, and returns how many are left. Some drivers
// use less of a chunk than there is (igb in zero-copy: whole KiB), and a piece
// is no frame that could be sent.
func (w *worker) discardPieces(l *lane, n int, t *tally) (whole int) {
	for _, d := range w.descs[:n] {
		continues := d.Options&xsk.Continued != 0
		if continues || l.torn {
			if !l.torn {
				t[countLost]++
			}
			d.Options = 0
			w.retire(d)
		} else {
			w.descs[whole] = d
			whole++
		}
		l.torn = continues
	}
	return whole
}
