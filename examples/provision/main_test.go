// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// test/docs runs the program on a cluster with the operator. The states here are those
// that do not occur there.
func TestWaitForSecret_EachState_ReturnsSecretOrReason(t *testing.T) {
	condition := func(kind, reason string, generation int64) metav1.Condition {
		return metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: reason, Message: "a message", ObservedGeneration: generation}
	}
	isWaiting := condition(v1alpha1.ConditionReady, "AccountNotReady", 2)
	isWaiting.Status = metav1.ConditionFalse
	ended, end := context.WithCancel(t.Context())
	end()
	for name, row := range map[string]struct {
		ctx        context.Context
		conditions []metav1.Condition
		secret     string
		err        string
	}{
		"ready":                    {t.Context(), []metav1.Condition{condition(v1alpha1.ConditionReady, "Ready", 2)}, "plivo", "<nil>"},
		"ready after an old stall": {t.Context(), []metav1.Condition{condition(v1alpha1.ConditionStalled, "Rejected", 1), condition(v1alpha1.ConditionReady, "Ready", 2)}, "plivo", "<nil>"},
		"stalled":                  {t.Context(), []metav1.Condition{condition(v1alpha1.ConditionStalled, "Rejected", 2)}, "", "Rejected: a message"},
		"time is over":             {ended, []metav1.Condition{isWaiting}, "", "not Ready: AccountNotReady: a message"},
		"ready before the change":  {ended, []metav1.Condition{condition(v1alpha1.ConditionReady, "Ready", 1)}, "", "is it running?"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&v1alpha1.Subaccount{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "voice", Generation: 2},
				Status:     v1alpha1.SubaccountStatus{Conditions: row.conditions, Binding: &v1alpha1.SecretBinding{Name: "plivo"}},
			}).Build()
			secret, err := waitForSecret(row.ctx, c, client.ObjectKey{Namespace: "team-a", Name: "voice"})
			if secret != row.secret {
				t.Errorf("got secret %q, want %q", secret, row.secret)
			}
			if got := fmt.Sprint(err); !strings.Contains(got, row.err) {
				t.Errorf("got error %s, want %s", got, row.err)
			}
		})
	}
}
