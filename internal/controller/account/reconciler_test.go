// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

func TestReconcile_StatusWriteFails_StillHandlesTheSweep(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		ids := r.recorded("a", testMain, 2)
		r.settle("a")
		stray := r.stray(1)
		acct, _ := r.accounts.Accounts.Get("a")
		acct.RequestSweep(time.Now())
		time.Sleep(testSettle)
		_, _ = r.reconcile("a")
		r.enqueued = nil
		r.sim.Edit(testMain, ids[0], func(s *plivosim.Subaccount) { s.Enabled = true })
		r.beforeStatus = func() error { return errors.New("write refused") }
		time.Sleep(testSettle)
		acct.RequestSweep(time.Now())
		time.Sleep(time.Second)
		if result, _ := r.reconcile("a"); result.RequeueAfter != kube.RetryFirst {
			t.Error("got no retry: the status did not change, so the test has no effect")
		}
		if len(r.enqueued) == 0 {
			t.Error("got no enqueued Account, want the drift enqueued")
		}
		if r.left([]string{stray}) > 0 {
			t.Error("got the stray at Plivo, want it removed")
		}
	})
}

func TestReconcile_CRDLacksTheBudget_UsesTheDefault(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		a := r.get("a")
		a.Spec.RequestsPer5Seconds = 0
		if err := r.k8s.Update(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		r.settle("a")
		r.wantReason("a", v1alpha1.ReasonReady)
	})
}

func TestDefaultRequestsPer5Seconds_CRD_HasTheSame(t *testing.T) {
	crd, err := os.ReadFile("../../../config/crd/bases/plivo.subaccount-operator.dev_accounts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("requestsPer5Seconds:\n                default: %d\n", defaultRequestsPer5Seconds)
	if !strings.Contains(string(crd), want) {
		t.Errorf("got a CRD without %q", want)
	}
}

func TestFinalize_SubaccountMissingInCache_KeepsTheFinalizer(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		s := r.subaccount("a", "a")
		s.Finalizers = []string{v1alpha1.Finalizer}
		r.live = fake.NewClientBuilder().WithScheme(r.k8s.Scheme()).WithObjects(s).Build()
		r.start()
		r.account("a", testMain)
		r.settle("a")
		if err := r.k8s.Delete(context.Background(), r.get("a")); err != nil {
			t.Fatal(err)
		}
		r.settle("a")
		r.wantReason("a", v1alpha1.ReasonInUse)
	})
}

func TestReconcile_FinalizerRefused_StillServesAUsedAccount(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		r.settle("a")
		a := r.get("a")
		a.Finalizers = nil
		if err := r.k8s.Update(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		r.beforePatch = func() error { return apierrors.NewForbidden(schema.GroupResource{}, "a", errors.New("refused")) }
		r.enqueued = nil
		r.sim.SetToken(testMain, "rotated")
		secret := &corev1.Secret{}
		if err := r.k8s.Get(context.Background(), types.NamespacedName{Namespace: testNamespace, Name: "a"}, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data["auth_token"] = []byte("rotated")
		if err := r.k8s.Update(context.Background(), secret); err != nil {
			t.Fatal(err)
		}
		_, _ = r.reconcile("a")
		r.wantReason("a", v1alpha1.ReasonKubernetesError)
		if len(r.enqueued) == 0 {
			t.Error("got no enqueued Account, want the changed Subaccounts enqueued")
		}
		time.Sleep(testSettle)
		acct, _ := r.accounts.Accounts.Get("a")
		if s := acct.Status(); s.Outcome != mainaccount.OutcomeComplete || acct.Usable().Refused {
			t.Errorf("got %+v, want a complete sweep with the rotated token", s)
		}
	})
}

func TestReconcile_FinalizerRefused_DoesNotUseANewAccount(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.beforePatch = func() error { return apierrors.NewForbidden(schema.GroupResource{}, "a", errors.New("refused")) }
		r.account("a", testMain)
		for range 3 {
			_, _ = r.reconcile("a")
			if len(r.enqueued) == 0 {
				t.Error("got no enqueued Account, want its Subaccounts to report it")
			}
			r.enqueued = nil
			time.Sleep(testSettle)
		}
		r.wantReason("a", v1alpha1.ReasonKubernetesError)
		if n := len(r.sim.Calls()); n > 0 {
			t.Errorf("got %d calls to Plivo, want none", n)
		}
		r.beforePatch = func() error { return nil }
		r.settle("a")
		r.wantReason("a", v1alpha1.ReasonReady)
	})
}

// The operator deletes the subaccounts itself, so their absence is no disappearance.
func TestRecorded_TerminatingSubaccounts_AreLeftOut(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		ids := r.recorded("a", testMain, 12)
		r.settle("a")
		for i, id := range ids[1:] {
			if err := r.k8s.Delete(context.Background(), r.subaccount(fmt.Sprint("a", i+1), "a")); err != nil {
				t.Fatal(err)
			}
			r.sim.Remove(testMain, id) // the response was lost, or the finalizer cannot be removed
		}
		acct, _ := r.accounts.Accounts.Get("a")
		acct.RequestSweep(time.Now())
		time.Sleep(testSettle)
		r.settle("a")
		if acct.GuardOn() {
			t.Error("got the mass-deletion guard on, want it off")
		}
		r.wantReason("a", v1alpha1.ReasonReady)
	})
}
