// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/subaccount-operator/subaccount-operator/internal/kube"
)

// startedWithCaches makes the manager start a cache together with its own one.
// controller-runtime does not recognize a cache of some namespaces as a cache: it
// would start it only after the replica became the leader.
type startedWithCaches struct{ cache.Cache }

// GetCache makes the manager recognize a cache.
func (c startedWithCaches) GetCache() cache.Cache { return c.Cache }

// addCredentialsCache adds the cache of credentials Secrets to the manager, and a
// readiness check of this cache and the manager's own one.
func addCredentialsCache(ctx context.Context, mgr ctrl.Manager, namespace string) (cache.Cache, error) {
	o := kube.CredentialsCacheOptions(namespace)
	o.Scheme, o.Mapper, o.HTTPClient = mgr.GetScheme(), mgr.GetRESTMapper(), mgr.GetHTTPClient()
	credentials, err := cache.New(mgr.GetConfig(), o)
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(startedWithCaches{credentials}); err != nil {
		return nil, err
	}
	ready, err := kube.ReadyCheck(ctx, mgr, credentials)
	if err != nil {
		return nil, err
	}
	return credentials, mgr.AddReadyzCheck("readyz", ready)
}
