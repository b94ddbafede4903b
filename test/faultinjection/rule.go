// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// checkExact checks the exact rule: one subaccount with the state of the spec, its
// credentials in the Secret, and nothing of both after the Subaccount is deleted.
func (w *world) checkExact() error {
	w.mu.Lock()
	wanted := w.wanted
	broken := w.broken
	w.mu.Unlock()
	if broken != nil {
		return broken
	}
	for _, stranger := range w.strangers {
		if now, ok := w.sim.Subaccount(mainID, stranger.AuthID); !ok || now != stranger {
			return fmt.Errorf("got the stranger %+v, want it unchanged: %+v", now, stranger)
		}
	}
	ours := w.ours()
	secret, resource := w.cluster.get(target{secrets, tenant, "a-plivo"}), w.cluster.get(subaccountAt)
	if wanted.removed {
		if secret != nil && resource == nil && slices.ContainsFunc(secret.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == w.uid }) {
			secret = nil // the garbage collector would delete it, but does not run here
		}
		if resource != nil || len(ours) > 0 || secret != nil {
			return fmt.Errorf("after the deletion: got Subaccount %v, %d subaccounts, Secret %v; want none", resource != nil, len(ours), secret != nil)
		}
		return nil
	}
	if resource == nil || secret == nil || len(ours) != 1 {
		return fmt.Errorf("got Subaccount %v, Secret %v, %d subaccounts; want one of each", resource != nil, secret != nil, len(ours))
	}
	x := ours[0]
	if x.Name != wanted.name || !x.Enabled {
		return fmt.Errorf("got a subaccount with name %q, enabled %v; want %q, true", x.Name, x.Enabled, wanted.name)
	}
	var s v1alpha1.Subaccount
	convert(resource, &s)
	var credentials corev1.Secret
	convert(secret, &credentials)
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonReady || s.Status.ObservedGeneration != s.Generation:
		return fmt.Errorf("got the status %+v, want Ready", s.Status)
	case s.Status.AuthID != x.AuthID || s.Status.AccountID != mainID || s.Status.PendingCreation != nil || !slices.Contains(s.Finalizers, v1alpha1.Finalizer):
		return fmt.Errorf("got the status %+v and finalizers %v, want authID %s without a pending creation", s.Status, s.Finalizers, x.AuthID)
	case string(credentials.Data["auth_id"]) != x.AuthID || string(credentials.Data["auth_token"]) != x.AuthToken || len(credentials.Data) != 2:
		return fmt.Errorf("got other credentials in the Secret, want those of %s", x.AuthID)
	}
	return nil
}

// misleadingInjections may cause a second subaccount each: a wrong list, a wrong 404, a
// call later than the settle time, or an old leader. A crash, a lost response, an edit or
// a conflict must not.
var misleadingInjections = []string{"too-late", "stale", "empty", "404", "overtaken", "frozen"}

func (w *world) checkCreations() error {
	created, allowed := 0, 1
	for _, c := range w.sim.Calls() {
		if c.Op == plivosim.OpCreate && c.Committed {
			created++
		}
	}
	for _, e := range w.trace {
		if slices.Contains(misleadingInjections, e.injection) {
			allowed++
		}
	}
	if created > allowed {
		return fmt.Errorf("got %d created subaccounts, want at most %d", created, allowed)
	}
	return nil
}

// checkCredentials checks that the credentials in a new Secret work: the subaccount exists,
// is enabled, and has its final name.
func (w *world) checkCredentials() {
	secret, resource := w.cluster.get(target{secrets, tenant, "a-plivo"}), w.cluster.get(subaccountAt)
	if resource == nil || resource.GetDeletionTimestamp() != nil {
		return // the garbage collector deletes a Secret that is created after its owner's deletion
	}
	var s corev1.Secret
	convert(secret, &s)
	x, ok := w.sim.Subaccount(mainID, string(s.Data["auth_id"]))
	if !ok || !x.Enabled || strings.HasPrefix(x.Name, "k8s-0a1b2c3d-") || string(s.Data["auth_token"]) != x.AuthToken {
		w.mu.Lock()
		w.broken = fmt.Errorf("got a Secret with credentials that do not work: subaccount %q, enabled %v, exists %v", x.Name, x.Enabled, ok)
		w.mu.Unlock()
	}
}

func convert(u *unstructured.Unstructured, obj any) {
	must(runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj))
}
