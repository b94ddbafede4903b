package plivosim

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// answer is one HTTP answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// reply is a JSON answer; like every one of Plivo's it carries an api_id.
func (s *Server) reply(status int, fields map[string]any) answer {
	body := map[string]any{"api_id": s.newUUID()}
	maps.Copy(body, fields)
	return answer{status: status, body: encode(body)}
}

// refuse is an error as Plivo's documentation shows it.
func (s *Server) refuse(status int, message string) answer {
	return s.reply(status, map[string]any{"error": message})
}

// encode is for values of this package, all of which have a JSON form.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// delivery is how an answer leaves the server.
type delivery struct {
	answer answer
	what   What
	hold   time.Duration // before anything is sent; for Hang: how long it lasts, 0: for ever
}

func (d delivery) deliver(w http.ResponseWriter, r *http.Request) {
	if d.what == Hang && d.hold == 0 {
		<-r.Context().Done()
	}
	if !wait(r.Context(), d.hold) || d.what == Cut || d.what == Hang {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	if len(d.answer.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	maps.Copy(h, d.answer.header)
	if d.answer.status != http.StatusNoContent {
		// Told beforehand, so that an answer cut short is seen to be one.
		h.Set("Content-Length", strconv.Itoa(len(d.answer.body)))
	}
	w.WriteHeader(d.answer.status)
	if d.what == CutShort {
		_, _ = w.Write(d.answer.body[:len(d.answer.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(d.answer.body)
}
