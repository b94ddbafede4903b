package plivosim

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hugeBody is the size of BodyHuge, in bytes.
const hugeBody = 16 << 20

// faulty handles a request that a fault strikes.
func (s *Server) faulty(q *request, f *injected) delivery {
	var truth *answer
	if !q.changes() || f.When == After {
		a := s.perform(q, f)
		truth = &a
	} else if f.When == Late {
		s.postpone(q, f.Delay)
	}
	d := delivery{what: f.What}
	if f.When != Late {
		d.hold = f.Delay
	}
	if f.What != Hang {
		d.hold += s.latency
		d.answer = s.disguise(q, f.Fault, truth)
	}
	return d
}

// disguise makes the answer that a fault sends; truth is nil where the request
// was not carried out.
func (s *Server) disguise(q *request, f Fault, truth *answer) answer {
	a := answer{status: f.Status, header: http.Header{}}
	if a.status == 0 {
		a.status = http.StatusInternalServerError
		if truth != nil {
			a.status = truth.status
		}
	}
	whole := s.reply(a.status, nil).body
	if a.status >= 300 {
		whole = s.refuse(a.status, strings.ToLower(http.StatusText(a.status))).body
	}
	if truth != nil && f.Status < 300 {
		whole = truth.body
	}
	a.body = s.shape(q, f, whole)
	if f.Body == BodyHTML {
		a.header.Set("Content-Type", "text/html")
	}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Location != "" {
		a.header.Set("Location", f.Location)
	}
	return a
}

func (s *Server) shape(q *request, f Fault, whole []byte) []byte {
	if f.Text != "" {
		return []byte(f.Text)
	}
	switch f.Body {
	case BodyEmpty:
		return nil
	case BodyEmptyObject:
		return []byte("{}")
	case BodyHTML:
		return []byte("<html><head><title>Bad Gateway</title></head><body>nginx</body></html>")
	case BodyTruncated:
		return whole[:len(whole)/2]
	case BodyErrorObject:
		return s.reply(0, map[string]any{
			"error": map[string]any{"code": "invalid", "messages": []string{"something is wrong"}},
		}).body
	case BodyErrorWithout:
		return encode(map[string]any{"error": "something is wrong"})
	case BodyReflect:
		user, token, _ := q.http.BasicAuth()
		return s.refuse(0, fmt.Sprintf("cannot handle %s %s, Authorization: %s (%s:%s), body %s",
			q.http.Method, q.http.URL, q.http.Header.Get("Authorization"), user, token, q.body)).body
	case BodyHuge:
		return s.refuse(0, string(bytes.Repeat([]byte("x"), hugeBody))).body
	default:
		return whole
	}
}

// distort returns the rows of a list, by how much to shift this page of them,
// and the total to tell. f is nil where no fault strikes.
func (f *injected) distort(a *account, p page) (rows []*Subaccount, shift, total int) {
	rows = a.rows
	if f == nil {
		return rows, 0, len(rows)
	}
	switch f.Rows {
	case Stale:
		rows = f.frozen[a.id]
	case None:
		rows = nil
	}
	if f.Without != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(sub *Subaccount) bool { return sub.AuthID == f.Without })
	}
	if p.offset > 0 {
		shift = f.Shift
	}
	return rows, shift, len(rows) + f.Total
}

// postpone makes a request's change after delay; 0: at the next CommitLate.
func (s *Server) postpone(q *request, delay time.Duration) {
	s.late = append(s.late, q)
	if delay == 0 {
		return
	}
	time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.late, q); i >= 0 {
			s.late = slices.Delete(s.late, i, i+1)
			s.perform(q, nil)
		}
	})
}

// CommitLate makes at once every change that a fault with Late has put off, and
// returns how many there were.
func (s *Server) CommitLate() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	for _, q := range late {
		s.perform(q, nil)
	}
	return len(late)
}
