// SPDX-License-Identifier: Apache-2.0

// Package inprocess carries HTTP requests to a handler in the same process without a
// socket, because sockets do not work with the fake clock of a synctest bubble.
package inprocess

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
)

// Transport is an http.RoundTripper that calls a handler. If the handler aborts the
// response (http.ErrAbortHandler), the client gets the error of the request's context, or
// io.ErrUnexpectedEOF if the context has not ended.
type Transport struct{ Handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			if resp, err = nil, req.Context().Err(); err == nil {
				err = io.ErrUnexpectedEOF
			}
		default:
			panic(cause)
		}
	}()
	served := req.Clone(req.Context())
	if served.Body == nil {
		served.Body = http.NoBody // a server never sees a nil body
	}
	recorder := httptest.NewRecorder()
	t.Handler.ServeHTTP(recorder, served)
	return recorder.Result(), nil
}

// ServeRewritten serves the response of a handler with a rewritten body.
func ServeRewritten(h http.Handler, w http.ResponseWriter, req *http.Request, rewrite func(body string) string) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, req)
	maps.Copy(w.Header(), recorder.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(recorder.Code)
	_, _ = io.WriteString(w, rewrite(recorder.Body.String()))
}
