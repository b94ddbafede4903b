package account

import (
	"context"
	"net/http"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// circuit is open while the credentials are refused: nothing is sent but one
// probe, the first page of a sweep, each sweep interval.
type circuit struct {
	open    bool
	message string
}

// answered ends a call: a pause that its answer brings begins before the next
// one is let go.
func (a *Account) answered(client *plivo.Client, slot *plivo.Slot, op plivo.Operation, err error) {
	a.learn(client, op, err)
	slot.Done()
}

// learn takes from an answer what it tells about the whole main account: that
// its credentials are good or refused, or that its limit is reached.
func (a *Account) learn(client *plivo.Client, op plivo.Operation, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := plivo.AsError(err)
	a.counts.called(op, e)
	if client != a.client {
		return // an answer to credentials that are not in use any more
	}
	switch {
	case e == nil:
		if op == plivo.OperationList {
			a.setCircuit(circuit{})
		}
	case e.Kind == plivo.KindNotFound, e.Kind == plivo.KindInvalid: // about this one call
	case refuses(op, e):
		a.setCircuit(circuit{open: true, message: e.Message})
	case e.Status == 429, e.RetryAfter > 0:
		a.budget.Pause(time.Now().Add(max(e.RetryAfter, plivo.Window)))
		if !a.longPause(a.budget).IsZero() {
			a.options.Notify(a.name) // so that the resources that wait report it
		}
	}
}

// refuses says whether an answer refuses the credentials and not the call. A 401
// does whatever its body: what the call did is one question, and whether others
// should be sent another.
func refuses(op plivo.Operation, e *plivo.Error) bool {
	return e.Status == http.StatusUnauthorized || e.Kind == plivo.KindForbidden && op == plivo.OperationList
}

func (a *Account) setCircuit(c circuit) {
	if c.open != a.circuit.open {
		a.options.Notify(a.name)
	}
	a.circuit = c
}

// suspect follows a 403 to one call: if a probing list gets one too, it is the
// credentials that are refused, and if that is answered it is the call.
func (a *Account) suspect(ctx context.Context, client *plivo.Client, refused error) error {
	slot, err := a.Reserve(ctx)
	if err != nil {
		return refusedAs(plivo.KindUndecided, refused)
	}
	if _, err = a.pass(client.AccountID()); err != nil {
		slot.Cancel()
		if a.Usable().Refused { // somebody else's probing list was faster
			return refusedAs(plivo.KindUnauthorized, refused)
		}
		return refusedAs(plivo.KindUndecided, refused)
	}
	_, err = client.List(ctx, 1, 0)
	a.answered(client, slot, plivo.OperationList, err)
	switch e := plivo.AsError(err); {
	case e == nil:
		return refused
	case refuses(plivo.OperationList, e):
		return refusedAs(plivo.KindUnauthorized, refused)
	default:
		return refusedAs(plivo.KindUndecided, refused)
	}
}

// refusedAs is a 403 to one call, as what it has turned out to be.
func refusedAs(kind plivo.Kind, refused error) error {
	e := *plivo.AsError(refused)
	e.Kind = kind
	return &e
}
