// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"sync"
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// lateResponse rotates the credentials during an update that gets the given response,
// and returns the kind of its error.
func lateResponse(a *Account, r *rig, one string, response plivosim.Fault) (kind plivo.Kind) {
	response.Ops, response.Delay, response.Times = []plivosim.Op{plivosim.OpUpdate}, 3*time.Second, 1
	r.sim.Inject(response)
	var call sync.WaitGroup
	call.Go(func() { kind = plivo.AsError(update(r.t, a, mainID, one, "n", true)).Kind })
	time.Sleep(time.Second)
	r.sim.SetToken(mainID, "rotated")
	r.registry.Configure("a", credentials(mainID, "rotated"), 100, interval, false)
	call.Wait()
	return kind
}

func TestSend_403ToReplacedCredentials_IsRetried(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one, a := r.add(1)[0], r.swept()
		if got := lateResponse(a, r, one, plivosim.Fault{Status: 403}); got != plivo.KindUnauthorized {
			t.Errorf("got the kind %s, want unauthorized: forbidden would refuse the spec", got)
		}
		if a.Usable().Refused {
			t.Error("got the new credentials refused, want usable")
		}
	})
}

// The limit is one of the main account.
func TestSend_429ToReplacedCredentials_Pauses(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one, a := r.add(1)[0], r.swept()
		lateResponse(a, r, one, plivosim.Fault{Status: 429, RetryAfter: 60})
		_, err := get(t, a, mainID, one)
		wantKind(t, err, plivo.KindRateLimited)
	})
}

func TestConfigure_DuringSweep_EndsIt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		one := r.add(200)[0]
		a := r.swept()
		r.before = func(int) { time.Sleep(300 * time.Millisecond) } // latency
		a.RequestSweep(time.Now())
		time.Sleep(time.Second) // the fourth page of ten
		r.registry.Configure("a", credentials(mainID, "wrong"), 100, interval, false)
		_ = update(t, a, mainID, one, "n", true) // 401
		time.Sleep(time.Second)
		if !a.Usable().Refused {
			t.Error("got usable credentials, want them refused")
		}
		r.stop()
		time.Sleep(time.Minute)
		if !a.circuit.trustedUntil.IsZero() {
			t.Error("got the credentials trusted because of a list with the earlier ones")
		}
	})
}
