// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// A tenant may write this Secret. The cache transforms it and evaluates the index under
// its lock, twice for each update.
func TestCache_SecretWithManyOwnersAndKeys_CostsAsMuchAsItsSize(t *testing.T) {
	indexes := collectedIndexes{}
	if err := AddIndexes(t.Context(), indexes); err != nil {
		t.Fatal(err)
	}
	const n = 2000
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Data: map[string][]byte{}}
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("%04x", i))
		secret.Data[keys[i]] = nil
		secret.OwnerReferences = append(secret.OwnerReferences, metav1.OwnerReference{Name: keys[i], UID: "u"})
	}
	applied, err := json.Marshal(Applied{Name: "x", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	secret.Annotations = map[string]string{AppliedAnnotation: string(applied)}
	if allocs := testing.AllocsPerRun(1, func() { indexes[IndexOwner](secret) }); allocs > 10*n {
		t.Errorf("got %.0f allocations for the index of %d owners, want at most 10 each", allocs, n)
	}
	if _, err := DigestSecret(plivo.NewDigester([]byte("key")))(secret); err != nil || len(secret.Data) > 0 {
		t.Errorf("got %v and %d keys in the cache, want none: the operator writes two", err, len(secret.Data))
	}
}

type collectedIndexes map[string]client.IndexerFunc

func (c collectedIndexes) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c[field] = extract
	return nil
}
