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

// rig is a simulator behind real HTTP, and a client with good credentials.
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

// reading is an answer as a client reads it; err is a connection that broke.
type reading struct {
	status int
	header http.Header
	raw    string
	json   map[string]any // nil where raw is not a JSON object
	err    error
}

func (r *rig) do(method, path, body string) reading {
	return r.doAs(mainID, mainToken, method, path, body)
}

func (r *rig) doAs(user, token, method, path, body string) reading {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, token)
	}
	// A request with a body is not repeated by net/http on its own; one without
	// is, on a connection that was used before and broke.
	req.Close = true
	resp, err := r.http.Do(req)
	if err != nil {
		return reading{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	out := reading{status: resp.StatusCode, header: resp.Header, raw: string(raw), err: err}
	_ = json.Unmarshal(raw, &out.json)
	return out
}

// want fails unless the answer is of this status and, if it has a body, a JSON
// object with an api_id.
func (r *rig) want(status int, method, path, body string) map[string]any {
	r.t.Helper()
	got := r.do(method, path, body)
	if got.err != nil || got.status != status {
		r.t.Fatalf("%s %s %s: got %d %s (%v), want %d", method, path, body, got.status, got.raw, got.err, status)
	}
	if status == http.StatusNoContent {
		if got.raw != "" {
			r.t.Errorf("a 204 with the body %q", got.raw)
		}
		return nil
	}
	if id, _ := got.json["api_id"].(string); len(id) != 36 {
		r.t.Errorf("%s %s: no api_id in %s", method, path, got.raw)
	}
	return got.json
}

func (r *rig) create(name string) string {
	r.t.Helper()
	return r.want(201, "POST", collection, fmt.Sprintf(`{"name":%q}`, name))["auth_id"].(string)
}

// listed pages through the whole list, as a client does, and returns the IDs in
// order and every page's total_count.
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
		r.t.Fatal("no calls")
	}
	return calls[len(calls)-1]
}

// serve runs one request without a network, for tests in a synctest bubble. The
// error is that of a connection that was cut.
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
