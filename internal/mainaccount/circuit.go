// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"net/http"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// circuit is open while Plivo refuses the credentials, that is, while Plivo
// refuses lists. The operator then sends only the first page of a sweep, at least
// once every probeInterval.
type circuit struct {
	open    bool
	message string
	// doubtedSince is when Plivo responded with 401 or 403 to another call than list;
	// zero if there was none, or if a later list succeeded. The next list shows
	// whether Plivo refuses the credentials or only that call.
	doubtedSince time.Time
	// trustedUntil is set when a list succeeds after a 403. Until then another 403
	// refuses the call and not the credentials.
	trustedUntil time.Time
}

const (
	// probeInterval bounds the time until the operator notices that credentials work
	// again.
	probeInterval = time.Minute
	// trustedFor is longer than the longest backoff, so that it covers the retry of a
	// refused call.
	trustedFor = 2 * time.Minute
	// maxOutagePause limits a Retry-After without a 429: any server on the way to Plivo
	// may send one during an outage.
	maxOutagePause = time.Minute
)

// finishCall ends a call. It starts a pause, if the response asks for one, before it
// returns the slot.
func (a *Account) finishCall(client *plivo.Client, slot *plivo.Slot, op plivo.Operation, err error) {
	a.recordOutcome(client, op, err)
	slot.Done()
}

// recordOutcome evaluates what a response says about the whole main account: Plivo
// accepts or refuses the credentials, or the rate limit is reached.
func (a *Account) recordOutcome(client *plivo.Client, op plivo.Operation, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := plivo.AsError(err)
	a.counts.countCall(op, e)
	isCurrent := client == a.client // else the response proves nothing about the credentials
	switch {
	case e == nil:
		if op == plivo.OperationList && a.circuit.open && isCurrent {
			a.setCircuit(circuit{})
		}
	case e.Kind == plivo.KindNotFound, e.Kind == plivo.KindInvalid: // about this one call
	case isAuthStatus(e.Status) && !isCurrent:
		if e.Kind == plivo.KindForbidden {
			e.Kind = plivo.KindUnauthorized // retried with the current credentials
		}
	case op == plivo.OperationList && refusesCredentials(e):
		a.setCircuit(circuit{open: true, message: e.Message})
	case op != plivo.OperationList && isAuthStatus(e.Status):
		a.probeCredentials(e)
	case e.IsRateLimit(), e.RetryAfter > 0:
		pause := max(e.RetryAfter, plivo.Window)
		if !e.IsRateLimit() {
			pause = min(pause, maxOutagePause)
		}
		a.budget.Pause(time.Now().Add(pause))
		if !a.longPauseUntil(a.budget).IsZero() {
			a.options.Notify(a.name) // the waiting Subaccounts report the pause
		}
	}
}

func isAuthStatus(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// refusesCredentials says whether the response to a list refuses the credentials: a
// 401 or 403 with a JSON object. Any other body may come from a proxy.
func refusesCredentials(e *plivo.Error) bool {
	return e.Kind == plivo.KindUnauthorized || e.Kind == plivo.KindForbidden
}

// probeCredentials requests a list after a 401 or 403 to another call. Until a list
// succeeds, a 403 counts as a refusal of the credentials, so that the operator
// retries the call.
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

// sendProbe sends one list if the credentials are in doubt.
func (a *Account) sendProbe(ctx context.Context) {
	a.mu.Lock()
	client, needed := a.client, !a.circuit.doubtedSince.IsZero()
	a.mu.Unlock()
	if needed && client != nil {
		_, _, _ = a.readPage(ctx, client, 0) // recordOutcome evaluates the response
	}
}

// endProbe ends the doubt about the client's credentials if the operator sent the list
// after the doubt began.
func (a *Account) endProbe(client *plivo.Client, sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := &a.circuit; client == a.client && !c.doubtedSince.IsZero() && !sent.Before(c.doubtedSince) {
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
