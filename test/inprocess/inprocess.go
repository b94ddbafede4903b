// Package inprocess carries HTTP requests to a handler in the same process,
// with no socket in between, so that inside of a synctest bubble time is fake.
package inprocess

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
)

// Transport is an http.RoundTripper that has a handler answer. A connection
// that the handler cuts (http.ErrAbortHandler) is an error, whatever it has
// written before: that of the request's context if this has ended, else
// io.ErrUnexpectedEOF.
type Transport struct{ Handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch cut := recover(); cut {
		case nil:
		case http.ErrAbortHandler:
			if resp, err = nil, req.Context().Err(); err == nil {
				err = io.ErrUnexpectedEOF
			}
		default:
			panic(cut)
		}
	}()
	served := req.Clone(req.Context())
	if served.Body == nil {
		served.Body = http.NoBody // as a server sees it
	}
	recorder := httptest.NewRecorder()
	t.Handler.ServeHTTP(recorder, served)
	return recorder.Result(), nil
}

// ServeRewritten serves what a handler answers, with another body.
func ServeRewritten(h http.Handler, w http.ResponseWriter, req *http.Request, rewrite func(body string) string) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, req)
	maps.Copy(w.Header(), recorder.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(recorder.Code)
	_, _ = io.WriteString(w, rewrite(recorder.Body.String()))
}
