package plivo

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
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

// net/http repeats what it takes for idempotent when a connection that was
// used before breaks: each of our changes must reach the server once.
func TestAChangeIsNeverRepeatedOnAReusedConnection(t *testing.T) {
	changes := map[plivosim.Op]Operation{
		plivosim.OpCreate: OperationCreate, plivosim.OpUpdate: OperationUpdate, plivosim.OpDelete: OperationDelete,
	}
	for _, when := range []plivosim.When{plivosim.Before, plivosim.After} {
		for simOp, op := range changes {
			sim, one := newSim()
			client := overHTTP(t, sim)
			if _, err := client.Get(t.Context(), one); err != nil { // warms a connection up
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
				t.Errorf("%s, cut %q: the server saw it %d times", op, when, n)
			}
		}
	}
}

// Neither can any transport rewind a body, which is what a repetition needs.
func TestNoRequestWithABodyCanBeRewound(t *testing.T) {
	client := newInProcess(always(500, ""))
	for _, r := range []request{
		{op: OperationCreate, method: http.MethodPost, body: attributes{Name: "n"}},
		{op: OperationUpdate, method: http.MethodPost, authID: absentID, body: attributes{Name: "n"}},
		{op: OperationDelete, method: http.MethodDelete, authID: absentID, body: map[string]bool{"cascade": true}},
	} {
		req, err := client.newRequest(t.Context(), r)
		if err != nil || req.GetBody != nil || req.ContentLength <= 0 {
			t.Errorf("%s: %v, GetBody set: %v, length %d", r.op, err, req.GetBody != nil, req.ContentLength)
		}
		for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if _, ok := req.Header[key]; ok {
				t.Errorf("%s carries %s: net/http would repeat it", r.op, key)
			}
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
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
						t.Errorf("%d to %s: the first host saw %d requests", status, location, n)
					}
				}
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the second host saw %d requests", n)
	}
}

// late is a context whose deadline has passed and whose timer has not fired,
// as in a process that was stopped and has just been woken.
type late struct {
	context.Context
	deadline time.Time
}

func (l late) Deadline() (time.Time, bool) { return l.deadline, true }

func TestNothingIsSentAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		now := time.Now()
		contexts := map[string]context.Context{
			"cancelled":                            ended,
			"its timer has not fired":              late{t.Context(), now},
			"passed on the wall, with no monotony": late{t.Context(), now.Round(0).Add(-time.Hour)},
		}
		for name, ctx := range contexts {
			for _, five := range fiveCalls {
				sim, one := newSim()
				wantKind(t, five.call(ctx, newInProcess(sim), one), five.op, KindNotSent)
				if n := len(sim.Calls()); n != 0 {
					t.Errorf("%s, %s: %d requests were sent", name, five.op, n)
				}
			}
		}
	})
}

func TestADeadlineToComeLetsTheCallBeSent(t *testing.T) {
	sim, one := newSim()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := newInProcess(sim).Get(ctx, one); err != nil {
		t.Error(err)
	}
}

// An update of "" would be sent to the collection, where a POST is a create.
func TestACallWithoutASubaccountsAuthIDIsNotSent(t *testing.T) {
	for _, authID := range []string{"", mainID, "SA", absentID + "/", "../" + absentID, absentID + "?x=", "."} {
		for _, five := range fiveCalls {
			if five.op == OperationCreate || five.op == OperationList {
				continue
			}
			sim, _ := newSim()
			wantKind(t, five.call(t.Context(), newInProcess(sim), authID), five.op, KindNotSent)
			if n := len(sim.Calls()); n != 0 {
				t.Errorf("%s of %q: %d requests were sent", five.op, authID, n)
			}
		}
	}
}

func TestTheFiveCallsDoWhatTheySay(t *testing.T) {
	sim, _ := newSim()
	client := overHTTP(t, sim)
	created, err := client.Create(t.Context(), "née <&> \"x\"", false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(t.Context(), created.AuthID)
	if err != nil || got.Name != "née <&> \"x\"" || got.Enabled || !got.Token.Equal(created.Token) || got.Created == "" || got.Modified != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := client.Update(t.Context(), created.AuthID, "two", true); err != nil {
		t.Error(err)
	}
	page, err := client.List(t.Context(), 1, 0)
	if err != nil || page.Total != 2 || len(page.Subaccounts) != 1 || page.Subaccounts[0].Name != "two" || !page.Subaccounts[0].Enabled {
		t.Errorf("%+v, %v", page, err)
	}
	if err := client.Delete(t.Context(), created.AuthID, true); err != nil {
		t.Error(err)
	}
	last := sim.Calls()[len(sim.Calls())-1]
	if last.Cascade == nil || !*last.Cascade {
		t.Error("the cascade did not arrive")
	}
	wantKind(t, client.Delete(t.Context(), created.AuthID, true), OperationDelete, KindNotFound)
}
