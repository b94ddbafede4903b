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

// SecretsWatchable splits --namespaces by whether this process may watch the
// Secrets there. To watch where it may not, because the Role is not there yet or
// went with the namespace, would keep all others from being served: no cache is
// complete without it.
func SecretsWatchable(ctx context.Context, reviews authorizationclient.SelfSubjectAccessReviewInterface, namespaces []string) (watchable, others []string, err error) {
	for _, namespace := range namespaces {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "watch", Resource: "secrets"},
		}}
		if review, err = reviews.Create(ctx, review, metav1.CreateOptions{}); err != nil {
			return nil, nil, fmt.Errorf("whether Secrets can be watched in the namespace %s: %w", namespace, err)
		}
		if review.Status.Allowed {
			watchable = append(watchable, namespace)
		} else {
			others = append(others, namespace)
		}
	}
	return watchable, others, nil
}

const rightsInterval = 30 * time.Second

// UntilSecretsWatchable ends the manager once the Secrets of one of the
// namespaces can be watched, so that it is started anew with them.
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
				ctrl.Log.Error(err, "the rights in namespaces are not known")
			case len(watchable) > 0:
				return fmt.Errorf("the Secrets in %v can be watched now: this process has to be started anew", watchable)
			}
		}
	}
}
