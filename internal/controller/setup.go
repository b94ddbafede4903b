// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/subaccount-operator/subaccount-operator/internal/controller/account"
	"github.com/subaccount-operator/subaccount-operator/internal/controller/subaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Options configures both reconcilers.
type Options struct {
	// NewClient creates a client with the credentials of a main account.
	NewClient func(plivo.Credentials) *plivo.Client
	// Timeout is the time limit of one call to Plivo.
	Timeout time.Duration
	// SettleMargin is how long after Timeout a create call may still take effect at
	// Plivo. Timeout plus SettleMargin is the settle time.
	SettleMargin time.Duration
	// Digester digests tokens. It must be the one given to kube.CacheOptions.
	Digester *plivo.Digester
	// Credentials is a cache with kube.CredentialsCacheOptions. The caller must add
	// it to the manager.
	Credentials cache.Cache
	// OperatorNamespace is the namespace of the credentials Secrets.
	OperatorNamespace string
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// Namespaces are the namespaces that this instance serves. If empty, it serves
	// all.
	Namespaces []string
	// Selector selects the Accounts that this instance serves.
	Selector labels.Selector
	// MaxConcurrent is the maximum number of concurrent reconciles of Subaccounts.
	MaxConcurrent int
	// Metrics registers the metrics of resources and main accounts. If nil, none are
	// registered.
	Metrics prometheus.Registerer
}

// workersPerTurn divides the workers: at most 1/workersPerTurn of them may call
// Plivo for one main account. Calls of one main account that hang then leave
// workers for the others.
const workersPerTurn = 4

// Add adds both reconcilers to a manager. The sweeps end with the context.
func Add(ctx context.Context, mgr ctrl.Manager, o Options) error {
	events := mgr.GetEventRecorder("subaccount-operator")
	live := kube.LiveReader{Reader: mgr.GetAPIReader(), Namespaces: o.Namespaces}
	subaccounts := &subaccount.Reconciler{
		Client: mgr.GetClient(), Live: live, Events: events,
		Digester: o.Digester, ClusterUID: o.ClusterUID, Selector: o.Selector,
		Timeout: o.Timeout, SettleTime: o.Timeout + o.SettleMargin, MaxConcurrent: o.MaxConcurrent,
	}
	accounts := &account.Reconciler{
		Client: mgr.GetClient(), SecretCache: o.Credentials, OperatorNamespace: o.OperatorNamespace,
		Events: events, Selector: o.Selector, Live: live, ClusterUID: o.ClusterUID, SettleTime: o.Timeout + o.SettleMargin,
		EnqueueChanged: subaccounts.EnqueueChanged,
	}
	registry := mainaccount.NewRegistry(ctx, mainaccount.Options{
		NewClient: o.NewClient, Timeout: o.Timeout, Digester: o.Digester, Log: mgr.GetLogger(),
		Recorded: accounts.Recorded, Notify: accounts.Notify, Wake: subaccounts.Wake,
		Share: max(1, o.MaxConcurrent/workersPerTurn),
	})
	subaccounts.Accounts, accounts.Accounts = registry, registry
	if err := subaccounts.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	if err := accounts.SetupWithManager(mgr); err != nil {
		return err
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(registry, &resourceCollector{mgr.GetCache(), o.Selector, mgr.Elected()})
	}
	return nil
}
