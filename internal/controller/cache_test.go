package controller

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func TestTheCacheKeepsWhatIsReadAndNothingThatATenantCanMakeLarge(t *testing.T) {
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
		got, err := stripSubaccount(s)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v\n%v\nwanted\n%v", err, got, want)
		}
	}
}

func TestASecretOfManyKeysCostsTheCacheNoMoreThanOneOfOurs(t *testing.T) {
	r := &SubaccountReconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	for i := range 100_000 {
		secret.Data[fmt.Sprint(i)] = nil
	}
	if _, err := digestSecret(r.Digester)(secret); err != nil {
		t.Fatal(err)
	}
	if facts := r.secretFacts(s, secret); len(secret.Data) != 2 || !facts.Sound || !facts.Labelled {
		t.Errorf("%d keys kept, %+v", len(secret.Data), facts)
	}
}
