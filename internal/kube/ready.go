// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// syncTimeout is how long one probe waits for the caches. The kubelet's timeout of
// a probe is one second.
const syncTimeout = 500 * time.Millisecond

// ReadyCheck returns a readiness check that fails until the caches are synced.
//
// It creates every informer now. By default controller-runtime creates most of
// them with the controllers, after the replica became the leader. A new replica
// without the right to list Accounts would then be ready, and a rollout would
// replace the working replica by it.
func ReadyCheck(ctx context.Context, mgr ctrl.Manager, credentials cache.Cache) (healthz.Checker, error) {
	kinds := map[cache.Cache][]client.Object{
		mgr.GetCache(): {&v1alpha1.Account{}, &v1alpha1.Subaccount{}, &corev1.Namespace{}, &corev1.Secret{}},
		credentials:    {&corev1.Secret{}},
	}
	for c, objects := range kinds {
		for _, o := range objects {
			if _, err := c.GetInformer(ctx, o); err != nil {
				return nil, err
			}
		}
	}
	return func(req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), syncTimeout)
		defer cancel()
		for c := range kinds {
			if !c.WaitForCacheSync(ctx) {
				return errors.New("caches are not synced; the log names the list or watch that fails")
			}
		}
		return nil
	}, nil
}
