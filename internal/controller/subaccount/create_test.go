// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
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
