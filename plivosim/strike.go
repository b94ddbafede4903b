// SPDX-License-Identifier: Apache-2.0

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

// handleFault carries out a request that a fault strikes.
func (s *Server) handleFault(q *request, f *injected) delivery {
	var actual *response
	if !q.changes() || f.When == After {
		a := s.perform(q, f)
		actual = &a
	} else if f.When == Late {
		s.postpone(q, f.Delay)
	}
	d := delivery{what: f.What}
	if f.When != Late {
		d.hold = f.Delay
	}
	if f.What != Hang {
		d.hold += s.latency
		d.response = s.faultyResponse(q, f.Fault, actual)
	}
	return d
}

// faultyResponse returns the response of a fault. actual is nil if the request was not
// carried out.
func (s *Server) faultyResponse(q *request, f Fault, actual *response) response {
	a := response{status: f.Status, header: http.Header{}}
	if a.status == 0 {
		a.status = http.StatusInternalServerError
		if actual != nil {
			a.status = actual.status
		}
	}
	full := s.reply(a.status, nil).body
	if a.status >= 300 {
		full = s.refuse(a.status, strings.ToLower(http.StatusText(a.status))).body
	}
	if actual != nil && f.Status < 300 {
		full = actual.body
	}
	a.body = s.faultyBody(q, f, full)
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

// bodies has one entry for each Body; full is the body without it.
var bodies = []struct {
	body Body
	make func(s *Server, q *request, full []byte) []byte
}{
	{BodyDefault, func(_ *Server, _ *request, full []byte) []byte { return full }},
	{BodyEmpty, func(*Server, *request, []byte) []byte { return nil }},
	{BodyEmptyObject, func(*Server, *request, []byte) []byte { return []byte("{}") }},
	{BodyHTML, func(*Server, *request, []byte) []byte {
		return []byte("<html><head><title>Bad Gateway</title></head><body>nginx</body></html>")
	}},
	{BodyTruncated, func(_ *Server, _ *request, full []byte) []byte { return full[:len(full)/2] }},
	{BodyErrorObject, func(s *Server, _ *request, _ []byte) []byte {
		return s.reply(0, map[string]any{
			"error": map[string]any{"code": "invalid", "messages": []string{"something is wrong"}},
		}).body
	}},
	{BodyErrorWithout, func(*Server, *request, []byte) []byte {
		return encode(map[string]any{"error": "something is wrong"})
	}},
	{BodyReflect, func(s *Server, q *request, _ []byte) []byte {
		user, token, _ := q.http.BasicAuth()
		return s.refuse(0, fmt.Sprintf("cannot handle %s %s, Authorization: %s (%s:%s), body %s",
			q.http.Method, q.http.URL, q.http.Header.Get("Authorization"), user, token, q.body)).body
	}},
	{BodyHuge, func(s *Server, _ *request, _ []byte) []byte {
		return s.refuse(0, string(bytes.Repeat([]byte("x"), hugeBody))).body
	}},
}

// allBodies returns every Body, BodyDefault first.
func allBodies() []Body {
	var all []Body
	for _, b := range bodies {
		all = append(all, b.body)
	}
	return all
}

func (s *Server) faultyBody(q *request, f Fault, full []byte) []byte {
	if f.Text != "" {
		return []byte(f.Text)
	}
	for _, b := range bodies {
		if b.body == f.Body {
			return b.make(s, q, full)
		}
	}
	return full
}

// distort returns the rows of a list, the shift of this page, and the total of the
// response. f is nil if no fault strikes.
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

// postpone makes the change of a request after delay, or with the next CommitLate if
// delay is 0.
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

// CommitLate makes all pending late changes at once, and returns their number.
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
