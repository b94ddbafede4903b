// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// moveTo changes the credentials Secret of an Account.
func (r *accountRig) moveTo(name, main string) {
	r.t.Helper()
	secret := &corev1.Secret{}
	if err := r.k8s.Get(context.Background(), types.NamespacedName{Namespace: testNamespace, Name: name}, secret); err != nil {
		r.t.Fatal(err)
	}
	secret.Data["auth_id"] = []byte(main)
	if err := r.k8s.Update(context.Background(), secret); err != nil {
		r.t.Fatal(err)
	}
}

func (r *accountRig) label(name string, to map[string]string) {
	r.t.Helper()
	a := r.get(name)
	a.Labels = to
	if err := r.k8s.Update(context.Background(), a); err != nil {
		r.t.Fatal(err)
	}
}

func TestDuplicateAccount_OlderLeaves_YoungerTakesOver(t *testing.T) {
	goes := map[string]func(*accountRig){
		"deleted": func(r *accountRig) {
			if err := r.k8s.Delete(context.Background(), r.get("older")); err != nil {
				r.t.Fatal(err)
			}
			_, _ = r.reconcile("older") // removes the finalizer
		},
		"other credentials": func(r *accountRig) { r.moveTo("older", testOtherMain) },
		"served by another instance": func(r *accountRig) {
			r.accounts.Selector, _ = labels.Parse("!elsewhere")
			r.label("older", map[string]string{"elsewhere": "true"})
		},
		"has Subaccounts of another main account": func(r *accountRig) {
			s := r.subaccount("s", "older")
			r.create(s)
			s.Status.AuthID, s.Status.AccountID = r.sim.Add(testOtherMain, "n", false).AuthID, testOtherMain
			if err := r.k8s.Status().Update(context.Background(), s); err != nil {
				r.t.Fatal(err)
			}
		},
	}
	for name, leave := range goes {
		t.Run(name, func(t *testing.T) {
			withAccounts(t, func(t *testing.T, r *accountRig) {
				r.account("older", testMain)
				r.account("younger", testMain)
				r.recorded("younger", testMain, 2)
				for _, order := range [][]string{{"younger", "older"}, {"older", "younger"}} {
					r.settle(order...)
					r.wantReason("older", v1alpha1.ReasonReady)
					r.wantReason("younger", "DuplicateAccount")
					if n := r.get("younger").Status.Subaccounts; n != nil {
						t.Errorf("got the counts %+v, want none", n)
					}
					r.sim.ResetCalls()
					r.start() // then the other order
				}
				r.settle("younger", "older")
				leave(r)
				_, _ = r.reconcile("older")
				r.settle("younger")
				r.wantReason("younger", v1alpha1.ReasonReady)
				if a := r.get("younger"); a.Status.AuthID != testMain || *a.Status.Subaccounts.Managed != 2 {
					t.Errorf("got %+v, want %s with 2 managed subaccounts", a.Status, testMain)
				}
			})
		})
	}
}

func TestDuplicateAccount_OlderLosesItsSecret_YoungerStaysStalled(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("older", testMain)
		r.account("younger", testMain)
		r.settle("older", "younger")
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = testNamespace, "older"
		if err := r.k8s.Delete(context.Background(), secret); err != nil {
			t.Fatal(err)
		}
		r.settle("younger", "older")
		r.wantReason("older", v1alpha1.ReasonCredentialsNotFound)
		r.wantReason("younger", "DuplicateAccount")
	})
}

func TestRequestsForAllAccounts_OneAccountChanges_EnqueuesAll(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("older", testMain)
		r.account("younger", testMain)
		var a client.Object = r.get("older")
		if got := r.accounts.requestsForAllAccounts(context.Background(), a); len(got) != 2 {
			t.Errorf("change of an Account: got %v, want 2 requests", got)
		}
		secret := &corev1.Secret{}
		secret.Name = "older"
		if got := r.accounts.requestsForSecret(context.Background(), secret); len(got) != 2 {
			t.Errorf("change of its Secret: got %v, want 2 requests", got)
		}
		secret.Name = "another"
		if got := r.accounts.requestsForSecret(context.Background(), secret); len(got) != 0 {
			t.Errorf("change of another Secret: got %v, want no request", got)
		}
	})
}

// The Account and its other Subaccounts would wait for each other.
func TestRequestsForWaitingAccount_TerminatingWithOtherUsers_EndsAccountChanged(t *testing.T) {
	withAccounts(t, func(t *testing.T, r *accountRig) {
		r.account("a", testMain)
		r.settle("a")
		r.recorded("a", testMain, 1)
		restored := r.subaccount("restored", "a") // from a backup
		restored.Finalizers = []string{v1alpha1.Finalizer}
		r.create(restored)
		restored.Status.AuthID, restored.Status.AccountID = "SAXXXXXXXXXXXXXXXXXX", testOtherMain
		if err := r.k8s.Status().Update(t.Context(), restored); err != nil {
			t.Fatal(err)
		}
		r.settle("a")
		r.wantReason("a", v1alpha1.ReasonAccountChanged)
		if err := r.k8s.Delete(t.Context(), r.get("a")); err != nil {
			t.Fatal(err)
		}
		r.settle("a")
		if err := r.k8s.Get(t.Context(), client.ObjectKeyFromObject(restored), restored); err != nil {
			t.Fatal(err)
		}
		restored.Finalizers = nil
		if err := errors.Join(r.k8s.Update(t.Context(), restored), r.k8s.Delete(t.Context(), restored)); err != nil {
			t.Fatal(err)
		}
		for _, request := range r.accounts.requestsForWaitingAccount(t.Context(), restored) {
			r.settle(request.Name)
		}
		if acct, _ := r.accounts.Accounts.Get("a"); acct.Usable().Reason != "" {
			t.Errorf("got the Account blocked by %s, want it usable", acct.Usable().Reason)
		}
	})
}
