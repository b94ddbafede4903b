// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	mainID    = "MAAAAAAAAAAAAAAAAAAA"
	mainToken = "main-token"
	otherID   = "MABBBBBBBBBBBBBBBBBB"

	collection = "/v1/Account/" + mainID + "/Subaccount/"
)

// rig has a simulator behind real HTTP, and a client with valid credentials.
type rig struct {
	t    *testing.T
	sim  *Server
	url  string
	http *http.Client
}

func start(t *testing.T, o Options) *rig {
	t.Helper()
	o.Accounts = map[string]string{mainID: mainToken, otherID: "other-token"}
	sim := New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &rig{t: t, sim: sim, url: server.URL, http: client}
}

// clientResponse is a response as a client reads it; err is set if the connection broke.
type clientResponse struct {
	status int
	header http.Header
	raw    string
	json   map[string]any // nil if raw is not a JSON object
	err    error
}

func (r *rig) do(method, path, body string) clientResponse {
	return r.doAs(mainID, mainToken, method, path, body)
}

func (r *rig) doAs(user, token, method, path, body string) clientResponse {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, token)
	}
	// net/http repeats a request without a body if a reused connection breaks.
	req.Close = true
	resp, err := r.http.Do(req)
	if err != nil {
		return clientResponse{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	out := clientResponse{status: resp.StatusCode, header: resp.Header, raw: string(raw), err: err}
	_ = json.Unmarshal(raw, &out.json)
	return out
}

// want fails unless the response has this status and, apart from a 204, a JSON object
// with an api_id as its body.
func (r *rig) want(status int, method, path, body string) map[string]any {
	r.t.Helper()
	got := r.do(method, path, body)
	if got.err != nil || got.status != status {
		r.t.Fatalf("%s %s %s: got %d %s (%v), want %d", method, path, body, got.status, got.raw, got.err, status)
	}
	if status == http.StatusNoContent {
		if got.raw != "" {
			r.t.Errorf("got the body %q with a 204, want none", got.raw)
		}
		return nil
	}
	if id, _ := got.json["api_id"].(string); len(id) != 36 {
		r.t.Errorf("%s %s: got no api_id in %s", method, path, got.raw)
	}
	return got.json
}

func (r *rig) create(name string) string {
	r.t.Helper()
	return r.want(201, "POST", collection, fmt.Sprintf(`{"name":%q}`, name))["auth_id"].(string)
}

// listed reads all pages of the list. It returns the IDs in order and the total_count of
// each page.
func (r *rig) listed(limit int) (ids []string, totals []int) {
	r.t.Helper()
	for offset := 0; ; offset += limit {
		page := r.want(200, "GET", fmt.Sprintf("%s?limit=%d&offset=%d", collection, limit, offset), "")
		total := int(page["meta"].(map[string]any)["total_count"].(float64))
		totals = append(totals, total)
		for _, object := range page["objects"].([]any) {
			ids = append(ids, object.(map[string]any)["auth_id"].(string))
		}
		if offset+limit >= total {
			return ids, totals
		}
	}
}

func (r *rig) lastCall() Call {
	r.t.Helper()
	calls := r.sim.Calls()
	if len(calls) == 0 {
		r.t.Fatal("got no calls, want some")
	}
	return calls[len(calls)-1]
}

// serve handles one request without a network, for tests in a synctest bubble. err is set
// if the server cut the connection.
func serve(sim *Server, req *http.Request) (rec *httptest.ResponseRecorder, err error) {
	rec = httptest.NewRecorder()
	defer func() {
		switch cut := recover(); cut {
		case nil:
		case http.ErrAbortHandler:
			err = errors.New("cut")
		default:
			panic(cut)
		}
	}()
	req.SetBasicAuth(mainID, mainToken)
	sim.ServeHTTP(rec, req)
	return rec, nil
}
