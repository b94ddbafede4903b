package main

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/subaccount-operator/subaccount-operator/internal/kube"
)

// startedWithCaches has the manager start a cache together with its own. As it
// is, controller-runtime takes a cache of some namespaces for something that
// needs the lease.
type startedWithCaches struct{ cache.Cache }

// GetCache is how the manager recognizes a runnable that has a cache.
func (c startedWithCaches) GetCache() cache.Cache { return c.Cache }

// addCredentials adds the cache of the credentials to the manager, and the
// readiness check of it and of the manager's own cache.
func addCredentials(ctx context.Context, mgr ctrl.Manager, namespace string) (cache.Cache, error) {
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
