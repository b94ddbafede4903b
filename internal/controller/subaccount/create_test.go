// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// newStateWithResponse returns the state of a reconcile that holds the create
// response of one attempt. The API server stores the given status.
func newStateWithResponse(t *testing.T, held plan.HeldResponse, stored v1alpha1.SubaccountStatus) (*reconcileState, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	s := &v1alpha1.Subaccount{Status: stored}
	s.Namespace, s.Name, s.UID = "ns", "a", "u"
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(s).WithStatusSubresource(s).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			err := c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			if err != nil && apierrors.ReasonForError(err) == "" {
				// The response of the API server to a JSON patch whose test fails.
				return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "patch", schema.GroupResource{}, "", err.Error(), 0, false)
			}
			return err
		},
	}).Build()
	r := &Reconciler{Client: c, Live: kube.LiveReader{Reader: c}, memory: newMemory()}
	return &reconcileState{reconciler: r, obs: &plan.Observation{Object: s.DeepCopy(), HeldResponse: &held}}, c
}

func TestRecord_AnotherAttemptPending_ReturnsConflict(t *testing.T) {
	stored := v1alpha1.SubaccountStatus{PendingCreation: &v1alpha1.PendingCreation{Attempt: "second", AccountID: "MA"}}
	st, c := newStateWithResponse(t, plan.HeldResponse{Attempt: "first", AuthID: "SA1", AccountID: "MA"}, stored)
	if err := st.recordResponse(t.Context(), "SA1"); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	var got v1alpha1.Subaccount
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(st.obs.Object), &got); err != nil {
		t.Fatal(err)
	}
	if pending := got.Status.PendingCreation; got.Status.AuthID != "" || pending == nil || pending.Attempt != "second" {
		t.Errorf("got the status %+v, want the second attempt pending", got.Status)
	}
	if st.obs.HeldResponse != nil {
		t.Error("got a held response, want none")
	}
}

func TestRecord_AnotherAuthIDRecorded_ReturnsConflict(t *testing.T) {
	st, c := newStateWithResponse(t, plan.HeldResponse{Attempt: "first", AuthID: "SA1", AccountID: "MA"}, v1alpha1.SubaccountStatus{AuthID: "SA2", AccountID: "MA"})
	if err := st.recordResponse(t.Context(), "SA1"); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	var got v1alpha1.Subaccount
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(st.obs.Object), &got); err != nil {
		t.Fatal(err)
	}
	if got.Status.AuthID != "SA2" {
		t.Errorf("got the status %+v, want SA2", got.Status)
	}
}

func TestReconcile_WritesSlowerThanTimeout_AreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 100)
		g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
				time.Sleep(g.reconciler.Timeout)
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
		})
		s := g.apply("a")
		for range 3 {
			g.reconcile(s)
		}
		if got := g.reason(s); got != v1alpha1.ReasonUnavailable {
			t.Errorf("got the reason %s, want Unavailable", got)
		}
		if m := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, "--plivo-timeout") {
			t.Errorf("got the message %q, want the flag in it", m)
		}
		if n := len(g.sim.Subaccounts(mainID)); n != 0 {
			t.Errorf("got %d subaccounts, want none", n)
		}
	})
}

// Plivo has not refused what came during a refused create call: another spec, or the
// request of a retry.
func TestReconcile_EditedDuringRefusedCreate_AppliesEdit(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*v1alpha1.Subaccount)
		want  string // reason
		names string // of the subaccounts
	}{
		"name":         {func(s *v1alpha1.Subaccount) { s.Spec.Name, s.Generation = new("edited"), 2 }, v1alpha1.ReasonReady, "edited"},
		"taken Secret": {func(s *v1alpha1.Subaccount) { s.Spec.Secret.Name, s.Generation = "taken", 2 }, v1alpha1.ReasonSecretConflict, ""},
		"request": {func(s *v1alpha1.Subaccount) {
			s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
		}, v1alpha1.ReasonReady, "a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, 100)
			if err := g.k8s.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "taken"}}); err != nil {
				t.Fatal(err)
			}
			s := g.apply("a")
			g.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Status: http.StatusBadRequest, Times: 1})
			edited := false
			g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
				SubResourcePatch: func(ctx context.Context, k8s client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
					calls := g.sim.Calls()
					if g.reload(s).Status.PendingCreation != nil && !edited && calls[len(calls)-1].Op == plivosim.OpCreate {
						edited = true
						c.edit(s)
						if err := k8s.Update(ctx, s); err != nil {
							return err
						}
					}
					return k8s.SubResource(sub).Patch(ctx, obj, patch, opts...)
				},
			})
			for range 3 {
				g.reconcile(s)
				time.Sleep(2 * time.Second)
			}
			names := ""
			for _, one := range g.sim.Subaccounts(mainID) {
				names += one.Name
			}
			if got := g.reason(s); got != c.want || names != c.names || !edited {
				t.Errorf("%s: got the reason %s and the subaccounts %q, want %s and %q", name, got, names, c.want, c.names)
			}
		})
	}
}

// The status of a new subaccount is not that of the one that it replaces.
func TestReconcile_RecreatedWhileUpdatesFail_ReportsNoEarlierValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 100)
		g.reconciler.ClusterUID = "01234567-0000-0000-0000-000000000000"
		s := g.apply("a")
		g.reconcile(s)
		if got := g.reason(s); got != v1alpha1.ReasonReady || s.Status.Name == nil {
			t.Fatalf("got the reason %s, want Ready: %v", got, s.Status)
		}
		replaced := s.Status.AuthID
		g.sim.Remove(mainID, replaced)
		g.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Status: http.StatusBadGateway})
		g.account.RequestSweep(time.Now())
		for end := time.Now().Add(5 * time.Hour); time.Now().Before(end) && g.reload(s).Status.AuthID == replaced; time.Sleep(10 * time.Second) {
			g.reconcile(s)
		}
		if all := g.sim.Subaccounts(mainID); len(all) != 1 || all[0].AuthID != s.Status.AuthID {
			t.Fatalf("got %v at Plivo and %v, want another subaccount", all, s.Status)
		}
		if s.Status.Name != nil || s.Status.Enabled != nil {
			t.Errorf("got name %s and enabled %t, want neither", *s.Status.Name, *s.Status.Enabled)
		}
	})
}

// A 404 that the list refutes must not make sweeps and calls follow each other.
func TestReconcile_ListRefutesEvery404_SweepsRarely(t *testing.T) {
	for op, change := range map[plivosim.Op]func(*rig, *v1alpha1.Subaccount) error{
		plivosim.OpDelete: func(g *rig, s *v1alpha1.Subaccount) error { return g.k8s.Delete(t.Context(), s) },
		plivosim.OpUpdate: func(g *rig, s *v1alpha1.Subaccount) error {
			s.Spec.Name, s.Generation = new("renamed"), 2
			return g.k8s.Update(t.Context(), s)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, 100)
			s := g.apply("a")
			g.reconcile(s)
			if got := g.reason(s); got != v1alpha1.ReasonReady {
				t.Fatalf("got the reason %s, want Ready: %v", got, s.Status)
			}
			g.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{op}, Status: http.StatusNotFound})
			if err := change(g, s); err != nil {
				t.Fatal(err)
			}
			g.sim.ResetCalls()
			for end := time.Now().Add(30 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
				g.reconcile(s)
			}
			lists := 0
			for _, call := range g.sim.Calls() {
				if call.Op == plivosim.OpList {
					lists++
				}
			}
			if lists < 3 || lists > 10 {
				t.Errorf("%s: got %d lists in 30 minutes, want 3 to 10", op, lists)
			}
			if m := meta.FindStatusCondition(g.reload(s).Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, "list shows it") {
				t.Errorf("%s: got the message %q, want the contradiction", op, m)
			}
			g.sim.ClearFaults()
			for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(2 * time.Second) {
				g.reconcile(s)
			}
			left, want := "", map[plivosim.Op]string{plivosim.OpUpdate: "renamed"}[op]
			for _, one := range g.sim.Subaccounts(mainID) {
				left += one.Name
			}
			if left != want {
				t.Errorf("%s: got the subaccounts %q once Plivo works again, want %q", op, left, want)
			}
		})
	}
}
