package mainaccount

import (
	"context"
	"net/http"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// circuit is open while Plivo refuses the credentials, that is, while Plivo
// refuses lists. Nothing is sent then but the first page of a sweep, at least
// every probeInterval.
type circuit struct {
	open    bool
	message string
	// doubtedSince is when a call other than list was answered 401 or 403 and no
	// list that was sent later has been answered; zero: never. The next list
	// shows whether Plivo refuses the credentials or only that call.
	doubtedSince time.Time
	// trustedUntil: until then a 403 is about the call, because a list was
	// answered after an earlier one.
	trustedUntil time.Time
}

const (
	// probeInterval bounds how long working credentials stay unnoticed.
	probeInterval = time.Minute
	// trustedFor is longer than the longest backoff, so that the retry of a
	// refused call falls into it.
	trustedFor = 2 * time.Minute
)

// finishCall ends a call: a pause that its answer brings begins before the next
// one is let go.
func (a *Account) finishCall(client *plivo.Client, slot *plivo.Slot, op plivo.Operation, err error) {
	a.recordOutcome(client, op, err)
	slot.Done()
}

// recordOutcome takes from an answer what it tells about the whole main account: that
// its credentials are good or refused, or that its limit is reached.
func (a *Account) recordOutcome(client *plivo.Client, op plivo.Operation, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := plivo.AsError(err)
	a.counts.countCall(op, e)
	if client != a.client {
		return // an answer to credentials that are not in use any more
	}
	switch {
	case e == nil:
		if op == plivo.OperationList && a.circuit.open {
			a.setCircuit(circuit{})
		}
	case e.Kind == plivo.KindNotFound, e.Kind == plivo.KindInvalid: // about this one call
	case op == plivo.OperationList && refusesCredentials(e):
		a.setCircuit(circuit{open: true, message: e.Message})
	case op != plivo.OperationList && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		a.probeCredentials(e)
	case e.Status == 429, e.RetryAfter > 0:
		a.budget.Pause(time.Now().Add(max(e.RetryAfter, plivo.Window)))
		if !a.longPauseUntil(a.budget).IsZero() {
			a.options.Notify(a.name) // so that the resources that wait report it
		}
	}
}

// refusesCredentials says whether the answer to a list refuses the credentials:
// a 401 or 403 of Plivo's own form. Any other body may be a proxy's.
func refusesCredentials(e *plivo.Error) bool {
	return e.Kind == plivo.KindUnauthorized || e.Kind == plivo.KindForbidden
}

// probeCredentials follows a 401 or 403 to a call other than list: it requests
// a list. Until a list was answered, a 403 counts as a refusal of the
// credentials, so that the call is retried and not given up.
func (a *Account) probeCredentials(e *plivo.Error) {
	now := time.Now()
	if e.Kind == plivo.KindForbidden && !now.Before(a.circuit.trustedUntil) {
		e.Kind = plivo.KindUnauthorized
	}
	if a.circuit.open {
		return
	}
	if a.circuit.doubtedSince.IsZero() {
		a.circuit.doubtedSince = now
	}
	a.sweeper.wakeUp()
}

// sendProbe sends one list if a refused call waits for it.
func (a *Account) sendProbe(ctx context.Context) {
	a.mu.Lock()
	client, needed := a.client, !a.circuit.doubtedSince.IsZero()
	a.mu.Unlock()
	if needed && client != nil {
		_, _, _ = a.readPage(ctx, client, 0) // recordOutcome reads the answer
	}
}

// endProbe ends the doubt about the credentials if the list was sent after
// it began.
func (a *Account) endProbe(sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := &a.circuit; !c.doubtedSince.IsZero() && !sent.Before(c.doubtedSince) {
		c.doubtedSince, c.trustedUntil = time.Time{}, time.Now().Add(trustedFor)
	}
}

func (a *Account) setCircuit(c circuit) {
	if c.open != a.circuit.open {
		if c.open {
			a.log.Info("Plivo refuses the credentials", logging.Message, c.message)
		} else {
			a.log.Info("Plivo accepts the credentials again")
		}
		a.options.Notify(a.name)
	}
	a.circuit = c
}
