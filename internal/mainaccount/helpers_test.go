// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const (
	mainID    = "MAAAAAAAAAAAAAAAAAAA"
	mainToken = "main-token"
	otherID   = "MABBBBBBBBBBBBBBBBBB"
	absentID  = "SAZZZZZZZZZZZZZZZZZZ"
	interval  = 5 * time.Minute
)

func credentials(id, token string) plivo.Credentials {
	return plivo.Credentials{AuthID: id, Token: plivo.NewToken(token)}
}

// rig has a registry whose clients call a simulator in the same process, so that
// time is fake inside a synctest bubble.
type rig struct {
	t        *testing.T
	sim      *plivosim.Server
	registry *Registry
	stop     context.CancelFunc // ends the sweeps, as the end of the process does
	recorded []string
	notified atomic.Int32
	// before is called before each request with its number, from 1.
	before   func(n int)
	requests atomic.Int32
	// rewrite changes the body of each response.
	rewrite func(body string) string
}

// bubble runs a test with fake time; the sweeps end with it.
func bubble(t *testing.T, f func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, before: func(int) {}, rewrite: func(body string) string { return body }}
		r.sim = plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: mainToken, otherID: mainToken}, Seed: 1})
		base := &url.URL{Scheme: "https", Host: "plivo.test"}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		r.stop = stop
		r.registry = NewRegistry(ctx, Options{
			NewClient: func(c plivo.Credentials) *plivo.Client {
				return plivo.NewClient(base, &http.Client{Transport: inprocess.Transport{Handler: r}}, c, "test")
			},
			Timeout:  10 * time.Second,
			Digester: plivo.NewDigester([]byte("key")),
			Recorded: func(string) ([]string, bool) { return r.recorded, true },
			Notify:   func(string) { r.notified.Add(1) },
		})
		f(t, r)
	})
}

func (r *rig) configure() *Account {
	return r.registry.Configure("a", credentials(mainID, mainToken), 100, interval, false)
}

// swept returns an account after its first complete sweep, and resets the calls.
func (r *rig) swept() *Account {
	r.t.Helper()
	a := r.configure()
	time.Sleep(plivo.Window)
	if s := a.Status(); s.Outcome != OutcomeComplete {
		r.t.Fatalf("first sweep: got %s (%s), want complete", s.Outcome, s.Message)
	}
	r.sim.ResetCalls()
	return a
}

func (r *rig) add(n int) (ids []string) {
	for range n {
		ids = append(ids, r.sim.Add(mainID, "name", true).AuthID)
	}
	return ids
}

func (r *rig) wantCalls(op plivosim.Op, want int) {
	r.t.Helper()
	n := 0
	for _, c := range r.sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	if n != want {
		r.t.Errorf("got %d calls of %s at the server, want %d", n, op, want)
	}
}

// ServeHTTP implements http.Handler.
func (r *rig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.before(int(r.requests.Add(1)))
	inprocess.ServeRewritten(r.sim, w, req, r.rewrite)
}

// sweep requests one more sweep and waits for it.
func (r *rig) sweep(a *Account) {
	r.t.Helper()
	time.Sleep(plivo.Window) // the pause before a requested sweep
	a.RequestSweep(time.Now())
	time.Sleep(900 * time.Millisecond) // shorter than the pause before a retry
}

func wantKind(t *testing.T, err error, kind plivo.Kind) {
	t.Helper()
	if !plivo.IsKind(err, kind) {
		t.Errorf("got %v, want an error of kind %s", err, kind)
	}
}

// get, update and remove make one call each, with a slot of their own.

func get(t *testing.T, a *Account, accountID, authID string) (plivo.Subaccount, error) {
	slot, err := a.AcquireSlot(t.Context())
	if err != nil {
		return plivo.Subaccount{}, err
	}
	return a.Get(t.Context(), slot, accountID, authID)
}

func update(t *testing.T, a *Account, accountID, authID, name string, enabled bool) error {
	slot, err := a.AcquireSlot(t.Context())
	if err != nil {
		return err
	}
	return a.Update(t.Context(), slot, accountID, authID, name, enabled)
}

func remove(t *testing.T, a *Account, accountID, authID string, cascade bool) error {
	slot, err := a.AcquireSlot(t.Context())
	if err != nil {
		return err
	}
	return a.Delete(t.Context(), slot, accountID, authID, cascade)
}
