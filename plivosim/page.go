// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// maxLimit is the largest and the default number of rows of one page, according to
// Plivo's documentation.
const maxLimit = 20

// page is the part of a list that a request selects.
type page struct {
	limit, offset int
}

func pageOf(query url.Values) (page, error) {
	p := page{limit: maxLimit}
	for key, value := range map[string]*int{"limit": &p.limit, "offset": &p.offset} {
		if !query.Has(key) {
			continue
		}
		n, err := strconv.Atoi(query.Get(key))
		if err != nil || n < 0 {
			return p, fmt.Errorf("%s is not a number of 0 or more", key)
		}
		*value = n
	}
	if p.limit < 1 || p.limit > maxLimit {
		return p, fmt.Errorf("limit is not between 1 and %d", maxLimit)
	}
	return p, nil
}

// rowsOf returns the rows of the page in a list that is shifted by a number of rows.
func rowsOf[T any](p page, rows []T, shift int) []T {
	from := min(max(p.offset+shift, 0), len(rows))
	return rows[from:min(from+p.limit, len(rows))]
}

// listing returns a page in the form of Plivo's lists. next and previous are relative,
// and null at both ends.
func (s *Server) listing(u *url.URL, p page, total int, objects []map[string]any) response {
	link := func(offset int) string {
		query := u.Query()
		query.Set("limit", strconv.Itoa(p.limit))
		query.Set("offset", strconv.Itoa(offset))
		return u.Path + "?" + query.Encode()
	}
	meta := map[string]any{
		"limit": p.limit, "offset": p.offset, "total_count": total,
		"next": nil, "previous": nil,
	}
	if p.offset+p.limit < total {
		meta["next"] = link(p.offset + p.limit)
	}
	if p.offset > 0 {
		meta["previous"] = link(max(p.offset-p.limit, 0))
	}
	return s.reply(http.StatusOK, map[string]any{"meta": meta, "objects": objects})
}
