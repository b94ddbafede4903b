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
	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

// exact holds everything against the rule: one subaccount as the spec wants
// it, with its credentials in the Secret; nothing once the resource was removed.
func (w *world) exact() error {
	w.mu.Lock()
	wanted := w.wanted
	broken := w.broken
	w.mu.Unlock()
	if broken != nil {
		return broken
	}
	for _, stranger := range w.strangers {
		if now, ok := w.sim.Subaccount(mainID, stranger.AuthID); !ok || now != stranger {
			return fmt.Errorf("the stranger %s was touched", stranger.Name)
		}
	}
	ours := w.ours()
	secret, resource := w.cluster.get(target{secrets, tenant, "a-plivo"}), w.cluster.get(subaccountAt)
	if wanted.removed {
		if secret != nil && resource == nil && slices.ContainsFunc(secret.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == w.uid }) {
			secret = nil // the garbage collector's, which does not run here
		}
		if resource != nil || len(ours) > 0 || secret != nil {
			return fmt.Errorf("removed: resource left %v, at Plivo %d, Secret left %v", resource != nil, len(ours), secret != nil)
		}
		return nil
	}
	if resource == nil || secret == nil || len(ours) != 1 {
		return fmt.Errorf("resource %v, Secret %v, %d at Plivo", resource != nil, secret != nil, len(ours))
	}
	x := ours[0]
	if x.Name != wanted.name || !x.Enabled {
		return fmt.Errorf("at Plivo %q, enabled %v; wanted %q", x.Name, x.Enabled, wanted.name)
	}
	var s v1alpha1.Subaccount
	into(resource, &s)
	var credentials corev1.Secret
	into(secret, &credentials)
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonReady || s.Status.ObservedGeneration != s.Generation:
		return fmt.Errorf("not Ready: %+v", s.Status)
	case s.Status.AuthID != x.AuthID || s.Status.AccountID != mainID || s.Status.PendingCreation != nil || !slices.Contains(s.Finalizers, v1alpha1.Finalizer):
		return fmt.Errorf("recorded %+v, at Plivo %s", s.Status, x.AuthID)
	case string(credentials.Data["auth_id"]) != x.AuthID || string(credentials.Data["auth_token"]) != x.AuthToken || len(credentials.Data) != 2:
		return fmt.Errorf("the Secret holds other credentials")
	}
	return nil
}

// misleading are the faults after which a second create call may be made: who
// is misled by a list or a 404, or does not know that another leads. No crash,
// no lost answer, no edit and no conflict may cost one.
var misleading = []string{"too-late", "stale", "empty", "404", "overtaken", "frozen"}

func (w *world) frugal() error {
	made, may := 0, 1
	for _, c := range w.sim.Calls() {
		if c.Op == plivosim.OpCreate && c.Committed {
			made++
		}
	}
	for _, e := range w.trace {
		if slices.Contains(misleading, e.fault) {
			may++
		}
	}
	if made > may {
		return fmt.Errorf("%d subaccounts were made, where %d may have been", made, may)
	}
	return nil
}

// handedOut holds a Secret that is new against what must never be: credentials
// that do not work yet.
func (w *world) handedOut() {
	secret, resource := w.cluster.get(target{secrets, tenant, "a-plivo"}), w.cluster.get(subaccountAt)
	if resource == nil || resource.GetDeletionTimestamp() != nil {
		return // one that comes too late is the garbage collector's
	}
	var s corev1.Secret
	into(secret, &s)
	x, ok := w.sim.Subaccount(mainID, string(s.Data["auth_id"]))
	if !ok || !x.Enabled || strings.HasPrefix(x.Name, "k8s-0a1b2c3d-") || string(s.Data["auth_token"]) != x.AuthToken {
		w.mu.Lock()
		w.broken = fmt.Errorf("credentials were handed out that do not work: %s, enabled %v, exists %v", x.Name, x.Enabled, ok)
		w.mu.Unlock()
	}
}

func into(u *unstructured.Unstructured, obj any) {
	must(runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj))
}
