// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SecretsWatchable splits namespaces by whether this process may watch Secrets
// there. It may not if the Role does not exist (yet). One watch without a right
// keeps the whole cache from syncing, and the manager would serve no namespace.
func SecretsWatchable(ctx context.Context, reviews authorizationclient.SelfSubjectAccessReviewInterface, namespaces []string) (watchable, others []string, err error) {
	for _, namespace := range namespaces {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "watch", Resource: "secrets"},
		}}
		if review, err = reviews.Create(ctx, review, metav1.CreateOptions{}); err != nil {
			return nil, nil, fmt.Errorf("checking the right to watch Secrets in the namespace %s: %w", namespace, err)
		}
		if review.Status.Allowed {
			watchable = append(watchable, namespace)
		} else {
			others = append(others, namespace)
		}
	}
	return watchable, others, nil
}

// rightsInterval is the time between two checks of the rights. After ten minutes the
// kubelet forgets earlier restarts. With a shorter interval, a tenant could keep the
// manager in CrashLoopBackOff by removing and restoring a RoleBinding.
const rightsInterval = 10 * time.Minute

// UntilSecretsWatchable ends the manager with an error once it may watch Secrets
// in one of the namespaces. A cache cannot be extended while it runs, so the
// kubelet has to restart the manager.
func UntilSecretsWatchable(reviews authorizationclient.SelfSubjectAccessReviewInterface, namespaces []string) manager.RunnableFunc {
	return func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(rightsInterval):
			}
			watchable, _, err := SecretsWatchable(ctx, reviews, namespaces)
			switch {
			case err != nil:
				ctrl.Log.Error(err, "Failed to check the rights on Secrets; retrying", "namespaces", namespaces)
			case len(watchable) > 0:
				return fmt.Errorf("restart required: the manager now has the right to watch Secrets in the namespaces %v", watchable)
			}
		}
	}
}
