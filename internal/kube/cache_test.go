// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestStripSubaccount_UnreadMetadata_IsRemoved(t *testing.T) {
	large := strings.Repeat("x", 256<<10)
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{
		Name: "a", Finalizers: []string{v1alpha1.Finalizer},
		Labels:        map[string]string{"any": "label"},
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: large, v1alpha1.ReconcileRequestedAtAnnotation: "now"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Ready", Message: "All is well."}}
	want := s.DeepCopy()
	want.Labels, want.ManagedFields = nil, nil
	want.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: "now"}
	for range 2 {
		got, err := StripSubaccount(s)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	}
}

func TestTransforms_LargeForeignContent_IsRemoved(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	s, secret := &v1alpha1.Subaccount{}, &corev1.Secret{Data: map[string][]byte{"auth_id": []byte("SA"), "auth_token": []byte("token")}}
	secret.Labels = map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	s.Annotations = map[string]string{"note": large, v1alpha1.ReconcileRequestedAtAnnotation: large}
	s.Labels, s.OwnerReferences = map[string]string{"label": large}, []metav1.OwnerReference{{Name: large}}
	secret.Annotations, secret.Labels["other"], secret.Finalizers = map[string]string{"note": large}, large, []string{large}
	secret.Data["other"] = []byte(large)
	release := &corev1.Secret{Data: map[string][]byte{"release": []byte(large), "auth_id": []byte("MA"), "auth_token": []byte(large)}}
	release.Labels = map[string]string{"owner": large}
	account := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"note": large, v1alpha1.ReconcileRequestedAtAnnotation: large}}}
	for _, c := range []struct {
		obj       any
		transform func(any) (any, error)
	}{
		{s, StripSubaccount}, {secret, DigestSecret(plivo.NewDigester([]byte("key")))}, {release, keepCredentials}, {account, stripAccount},
	} {
		var before []byte
		for range 2 { // an informer may transform an object twice
			kept, err := c.transform(c.obj)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(kept)
			if isSame := before == nil || bytes.Equal(before, text); err != nil || len(text) > 2048 || !isSame {
				t.Errorf("%T: got %d bytes (%v), want at most 2048 and the same twice (before: %d)", c.obj, len(text), err, len(before))
			}
			before = text
		}
	}
	if got := s.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]; !strings.HasPrefix(got, "sha256:") {
		t.Errorf("got the annotation %.20s, want a digest", got)
	}
	if string(release.Data["auth_id"]) != "MA" {
		t.Error("got no auth_id, want the credentials kept")
	}
}
