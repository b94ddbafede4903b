package plivosim

import "time"

// rateWindow is the time in which a main account's requests are counted
// (Plivo's documentation).
const rateWindow = 5 * time.Second

// window is a true sliding window: in no 5 s, wherever they begin, are more
// than the limit allowed. What is refused does not count.
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
