// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const probeMain, probeToken = "MAAAAAAAAAAAAAAAAAAA", "token-of-the-main-account"

// different is a simulator that differs from the documentation in one way.
type different struct {
	sim *plivosim.Server
	// edit changes a subaccount in a response, in the list or not; it returns false to
	// leave it out of a list.
	edit func(object map[string]any, inList bool) bool
	// status replaces a response's status.
	status func(r *http.Request, status int) int
}

func (d *different) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	d.sim.ServeHTTP(recorder, r)
	status, body := recorder.Code, recorder.Body.Bytes()
	var answer map[string]any
	if d.edit != nil && status == http.StatusOK && json.Unmarshal(body, &answer) == nil {
		if objects, ok := answer["objects"].([]any); ok {
			kept := []any{}
			for _, o := range objects {
				if d.edit(o.(map[string]any), true) {
					kept = append(kept, o)
				}
			}
			answer["objects"] = kept
			answer["meta"].(map[string]any)["total_count"] = len(kept)
		} else {
			d.edit(answer, false)
		}
		body, _ = json.Marshal(answer)
	}
	if d.status != nil {
		if replaced := d.status(r, status); replaced != status {
			status, body = replaced, nil
		}
	}
	for name, values := range recorder.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// probe runs the prober against a simulator in a bubble and returns its findings.
func probe(t *testing.T, change func(*different), check func(t *testing.T, d *different, r *Report, left string, err error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &different{sim: plivosim.New(plivosim.Options{Accounts: map[string]string{probeMain: probeToken}, Seed: 1})}
		for range 25 {
			d.sim.Add(probeMain, "somebody's", true)
		}
		change(d)
		p := &Prober{
			Client: plivo.NewClient(&url.URL{Scheme: "https", Host: "plivo.test"}, &http.Client{Transport: inprocess.Transport{Handler: d}},
				plivo.Credentials{AuthID: probeMain, Token: plivo.NewToken(probeToken)}, "test"),
			ClusterUID: "01234567-0000-0000-0000-000000000000", SettleTime: 40 * time.Second, Progress: io.Discard,
		}
		r := NewReport("test")
		left, err := p.Run(t.Context(), r)
		check(t, d, r, left, err)
	})
}

func differing(r *Report) (assumptions []string) {
	for _, f := range r.Findings {
		if f.Verdict != VerdictOK {
			assumptions = append(assumptions, f.Assumption)
		}
	}
	return assumptions
}

func TestProber_SimulatorAsDocumented_FindsEveryAssumptionMet(t *testing.T) {
	probe(t, func(*different) {}, func(t *testing.T, d *different, r *Report, left string, err error) {
		if got := differing(r); err != nil || left != "" || len(got) > 0 || len(r.Findings) != 14 {
			t.Errorf("got %d findings, differing %q, left %q, error %v; want 14, none", len(r.Findings), got, left, err)
		}
		if n := len(d.sim.Subaccounts(probeMain)); n != 25 {
			t.Errorf("got %d subaccounts after the probe, want 25", n)
		}
		var out bytes.Buffer
		if err := r.Write(&out); err != nil || strings.Contains(out.String(), "somebody's") {
			t.Errorf("got %s, %v", out.String(), err)
		}
		for _, token := range d.sim.Tokens() {
			if strings.Contains(out.String(), token) {
				t.Error("the report has a token")
			}
		}
	})
}

func TestProber_SimulatorThatDiffers_NamesTheOneDifference(t *testing.T) {
	shorten := func(o map[string]any, _ bool) bool {
		if name := []rune(o["name"].(string)); len(name) > 64 {
			o["name"] = string(name[:64])
		}
		return true
	}
	deleted := false
	for want, change := range map[string]func(*different){
		"A name of 128 characters, several scripts and double spaces is kept": func(d *different) { d.edit = shorten },
		"The list has the tokens": func(d *different) {
			d.edit = func(o map[string]any, inList bool) bool {
				if inList {
					o["auth_token"] = "********"
				}
				return true
			}
		},
		"Plivo's list shows a new subaccount within the settle time": func(d *different) {
			started := time.Now()
			d.edit = func(o map[string]any, inList bool) bool {
				return !inList || o["name"] == "somebody's" || time.Since(started) > time.Minute
			}
		},
		"A second DELETE is a 404": func(d *different) {
			d.status = func(r *http.Request, status int) int {
				if r.Method == http.MethodDelete && status == http.StatusNotFound {
					return http.StatusNoContent
				}
				return status
			}
		},
		"get of a deleted subaccount is a 404": func(d *different) {
			deleted = false
			d.status = func(r *http.Request, status int) int {
				deleted = deleted || r.Method == http.MethodDelete
				if deleted && r.Method == http.MethodGet && status == http.StatusNotFound {
					return http.StatusGone
				}
				return status
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			probe(t, change, func(t *testing.T, d *different, r *Report, left string, err error) {
				if got := differing(r); err != nil || left != "" || len(got) != 1 || got[0] != want {
					t.Errorf("got %q, left %q, error %v; want %q", got, left, err, want)
				}
				if n := len(d.sim.Subaccounts(probeMain)); n != 25 {
					t.Errorf("got %d subaccounts after the probe, want 25", n)
				}
			})
		})
	}
}

func TestProber_CreateResponseLost_DeletesWhatWasCreated(t *testing.T) {
	probe(t, func(d *different) {
		d.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, When: plivosim.After, What: plivosim.Cut, Times: 1})
	}, func(t *testing.T, d *different, _ *Report, left string, err error) {
		if n := len(d.sim.Subaccounts(probeMain)); err == nil || left != "" || n != 25 {
			t.Errorf("got %d subaccounts, left %q, error %v; want 25, none, the lost response", n, left, err)
		}
	})
}

func TestProber_Interrupted_DeletesWhatItCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &different{sim: plivosim.New(plivosim.Options{Accounts: map[string]string{probeMain: probeToken}, Seed: 1})}
		ctx, stop := context.WithCancel(t.Context())
		d.edit = func(map[string]any, bool) bool { stop(); return true } // at the first read
		p := &Prober{
			Client: plivo.NewClient(&url.URL{Scheme: "https", Host: "plivo.test"}, &http.Client{Transport: inprocess.Transport{Handler: d}},
				plivo.Credentials{AuthID: probeMain, Token: plivo.NewToken(probeToken)}, "test"),
			SettleTime: 40 * time.Second, Progress: io.Discard,
		}
		left, err := p.Run(ctx, NewReport("test"))
		if n := len(d.sim.Subaccounts(probeMain)); err == nil || left != "" || n != 0 {
			t.Errorf("got %d subaccounts, left %q, error %v; want none, none, the interruption", n, left, err)
		}
	})
}
