// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// response is an HTTP response of the API.
type response struct {
	status int
	header http.Header
	body   []byte
}

// reply returns a JSON response. Like every response of Plivo, it has an api_id.
func (s *Server) reply(status int, fields map[string]any) response {
	body := map[string]any{"api_id": s.newUUID()}
	maps.Copy(body, fields)
	return response{status: status, body: encode(body)}
}

// refuse returns an error in the form of Plivo's documentation.
func (s *Server) refuse(status int, message string) response {
	return s.reply(status, map[string]any{"error": message})
}

// encode is for values of this package, which always have a JSON form.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// delivery says how the server sends a response.
type delivery struct {
	response response
	what     What
	hold     time.Duration // pause before the response; for Hang its duration, or 0 until the client goes away
}

func (d delivery) deliver(w http.ResponseWriter, r *http.Request) {
	if d.what == Hang && d.hold == 0 {
		<-r.Context().Done()
	}
	if !wait(r.Context(), d.hold) || d.what == Cut || d.what == Hang {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	if len(d.response.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	maps.Copy(h, d.response.header)
	if d.response.status != http.StatusNoContent {
		// With a length, the client notices a response that is cut short.
		h.Set("Content-Length", strconv.Itoa(len(d.response.body)))
	}
	w.WriteHeader(d.response.status)
	if d.what == CutShort {
		_, _ = w.Write(d.response.body[:len(d.response.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(d.response.body)
}
