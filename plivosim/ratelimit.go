// SPDX-License-Identifier: Apache-2.0

package plivosim

import "time"

// rateWindow is the window in which Plivo counts a main account's requests, according to
// its documentation.
const rateWindow = 5 * time.Second

// window is a sliding window: it allows at most the limit in any 5 s. A refused request
// does not count.
type window struct {
	allowedAt []time.Time
}

func (w *window) allow(now time.Time, limit int) bool {
	if limit <= 0 {
		return true
	}
	old := 0
	for old < len(w.allowedAt) && now.Sub(w.allowedAt[old]) >= rateWindow {
		old++
	}
	w.allowedAt = w.allowedAt[old:]
	if len(w.allowedAt) >= limit {
		return false
	}
	w.allowedAt = append(w.allowedAt, now)
	return true
}
