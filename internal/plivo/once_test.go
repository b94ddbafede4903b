// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(Collectors()...)
	return registry
}

func countOps(sim *plivosim.Server, op plivosim.Op) int {
	n := 0
	for _, c := range sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// net/http repeats a request that it considers idempotent if a reused connection
// breaks. Every create, update and delete must reach the server once.
func TestCall_ReusedConnectionBreaks_SendsChangeOnce(t *testing.T) {
	changes := map[plivosim.Op]Operation{
		plivosim.OpCreate: OperationCreate, plivosim.OpUpdate: OperationUpdate, plivosim.OpDelete: OperationDelete,
	}
	for _, when := range []plivosim.When{plivosim.Before, plivosim.After} {
		for simOp, op := range changes {
			sim, one := newSim()
			client := overHTTP(t, sim)
			if _, err := client.Get(t.Context(), one); err != nil { // opens a connection
				t.Fatal(err)
			}
			sim.Inject(plivosim.Fault{Ops: []plivosim.Op{simOp}, When: when, What: plivosim.Cut})
			i := slices.IndexFunc(fiveCalls, func(c struct {
				op   Operation
				call func(context.Context, *Client, string) error
			}) bool {
				return c.op == op
			})
			wantKind(t, fiveCalls[i].call(t.Context(), client, one), op, KindUnknown)
			if n := countOps(sim, simOp); n != 1 {
				t.Errorf("%s, cut %q: got %d requests at the server, want 1", op, when, n)
			}
		}
	}
}

// net/http repeats a get or list on each connection that it reuses. The budget counts
// one request.
func TestList_ReusedConnectionsBreak_ReachesServerOnce(t *testing.T) {
	const connections = 8
	var arrived, repeated atomic.Int32
	all := make(chan struct{})
	client := overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n := arrived.Add(1); {
		case n > connections:
			repeated.Add(1)
			panic(http.ErrAbortHandler)
		case n == connections:
			close(all)
		}
		<-all
		_, _ = io.WriteString(w, `{"meta": {"total_count": 0}, "objects": []}`)
	}))
	var calls sync.WaitGroup
	for range connections {
		calls.Go(func() { _, _ = client.List(t.Context(), MaxPageSize, 0) })
	}
	calls.Wait()
	_, err := client.List(t.Context(), MaxPageSize, 0)
	wantKind(t, err, OperationList, KindUnknown)
	if n := repeated.Load(); n != 1 {
		t.Errorf("got %d requests at the server, want 1", n)
	}
	if _, err := client.Get(t.Context(), absentID); err == nil || repeated.Load() != 2 {
		t.Errorf("got %v and %d requests after the next call, want an error and 2", err, repeated.Load())
	}
}

// A transport repeats a request only if it can rewind the body.
func TestNewRequest_WithBody_CannotBeRewound(t *testing.T) {
	client := newInProcess(always(500, ""))
	for _, r := range []request{
		{op: OperationCreate, method: http.MethodPost, body: attributes{Name: "n"}},
		{op: OperationUpdate, method: http.MethodPost, authID: absentID, body: attributes{Name: "n"}},
		{op: OperationDelete, method: http.MethodDelete, authID: absentID, body: map[string]bool{"cascade": true}},
	} {
		req, err := client.newRequest(t.Context(), r)
		if err != nil || req.GetBody != nil || req.ContentLength <= 0 {
			t.Errorf("%s: got %v, GetBody set %v, length %d; want a body that cannot be rewound", r.op, err, req.GetBody != nil, req.ContentLength)
		}
		for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if _, ok := req.Header[key]; ok {
				t.Errorf("%s: got the header %s, with which net/http repeats a request", r.op, key)
			}
		}
	}
}

func TestCall_Redirect_IsNotFollowed(t *testing.T) {
	var reached atomic.Int32
	second := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer second.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, body := range []plivosim.Body{plivosim.BodyDefault, plivosim.BodyEmpty} {
			for _, location := range []string{second.URL + "/", "/v1/elsewhere/", "://not a URL"} {
				for _, five := range fiveCalls {
					sim, one := newSim()
					client := overHTTP(t, sim)
					sim.Inject(plivosim.Fault{Status: status, Body: body, Location: location})
					wantKind(t, five.call(t.Context(), client, one), five.op, KindUnknown)
					if n := len(sim.Calls()); n != 1 {
						t.Errorf("%d to %s: got %d requests at the first host, want 1", status, location, n)
					}
				}
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("got %d requests at the second host, want none", n)
	}
}

// late is a context whose deadline has passed but whose timer has not fired, as in a
// process that was stopped.
type late struct {
	context.Context
	deadline time.Time
}

func (l late) Deadline() (time.Time, bool) { return l.deadline, true }

func TestCall_AfterDeadline_SendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		now := time.Now()
		contexts := map[string]context.Context{
			"cancelled":                     ended,
			"timer has not fired":           late{t.Context(), now},
			"passed on the wall clock only": late{t.Context(), now.Round(0).Add(-time.Hour)},
		}
		for name, ctx := range contexts {
			for _, five := range fiveCalls {
				sim, one := newSim()
				wantKind(t, five.call(ctx, newInProcess(sim), one), five.op, KindNotSent)
				if n := len(sim.Calls()); n != 0 {
					t.Errorf("%s, %s: got %d requests, want none", name, five.op, n)
				}
			}
		}
	})
}

func TestCall_BeforeDeadline_IsSent(t *testing.T) {
	sim, one := newSim()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := newInProcess(sim).Get(ctx, one); err != nil {
		t.Error(err)
	}
}

// An update of "" would go to the collection, where a POST is a create.
func TestCall_InvalidAuthID_SendsNothing(t *testing.T) {
	for _, authID := range []string{"", mainID, "SA", absentID + "/", "../" + absentID, absentID + "?x=", "."} {
		for _, five := range fiveCalls {
			if five.op == OperationCreate || five.op == OperationList {
				continue
			}
			sim, _ := newSim()
			wantKind(t, five.call(t.Context(), newInProcess(sim), authID), five.op, KindNotSent)
			if n := len(sim.Calls()); n != 0 {
				t.Errorf("%s of %q: got %d requests, want none", five.op, authID, n)
			}
		}
	}
}

func TestClient_FiveCalls_WorkWithSimulator(t *testing.T) {
	sim, _ := newSim()
	client := overHTTP(t, sim)
	created, err := client.Create(t.Context(), "née <&> \"x\"", false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(t.Context(), created.AuthID)
	if err != nil || got.Name != "née <&> \"x\"" || got.Enabled || !got.Token.Equal(created.Token) || got.Created == "" || got.Modified != "" {
		t.Errorf("got %+v, %v; want the created subaccount", got, err)
	}
	if err := client.Update(t.Context(), created.AuthID, "two", true); err != nil {
		t.Error(err)
	}
	page, err := client.List(t.Context(), 1, 0)
	if err != nil || page.Total != 2 || len(page.Subaccounts) != 1 || page.Subaccounts[0].Name != "two" || !page.Subaccounts[0].Enabled {
		t.Errorf("got %+v, %v; want the updated subaccount", page, err)
	}
	if err := client.Delete(t.Context(), created.AuthID, true); err != nil {
		t.Error(err)
	}
	last := sim.Calls()[len(sim.Calls())-1]
	if last.Cascade == nil || !*last.Cascade {
		t.Error("got no cascade at the server, want true")
	}
	wantKind(t, client.Delete(t.Context(), created.AuthID, true), OperationDelete, KindNotFound)
}
