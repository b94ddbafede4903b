// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

// rights allows everything, or nothing.
type rights struct {
	authorizationclient.SelfSubjectAccessReviewInterface
	allowed bool
}

func (r *rights) Create(_ context.Context, review *authorizationv1.SelfSubjectAccessReview, _ metav1.CreateOptions) (*authorizationv1.SelfSubjectAccessReview, error) {
	review.Status.Allowed = r.allowed
	return review, nil
}

func TestUntilSecretsWatchable_RightAppears_EndsTheManagerRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := 0
		for started := time.Now(); time.Since(started) < time.Hour; ends++ {
			r := &rights{}
			if _, others, err := SecretsWatchable(t.Context(), r, []string{"tenant"}); err != nil || len(others) != 1 {
				t.Fatalf("got %v, %v, want one namespace without the right", others, err)
			}
			r.allowed = true // the tenant restores its RoleBinding at once
			if err := UntilSecretsWatchable(r, []string{"tenant"})(t.Context()); err == nil {
				t.Fatal("got no error, want one that restarts the manager")
			}
		}
		if ends < 1 || ends > 6 {
			t.Errorf("got %d restarts in an hour, want 1 to 6", ends)
		}
	})
}
