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

// Options of both reconcilers.
type Options struct {
	// NewClient makes a client for a main account's credentials.
	NewClient func(plivo.Credentials) *plivo.Client
	// Timeout of one call to Plivo.
	Timeout time.Duration
	// SettleMargin is how long after Timeout a create call may still take effect
	// at Plivo. Both together are the settle time.
	SettleMargin time.Duration
	// Digester of tokens, the one of CacheOptions.
	Digester *plivo.Digester
	// Credentials is the cache of CredentialsCacheOptions, which has to be added
	// to the manager too.
	Credentials cache.Cache
	// OperatorNamespace is where the Accounts' credentials Secrets are.
	OperatorNamespace string
	// ClusterUID is the UID of the namespace kube-system.
	ClusterUID types.UID
	// Namespaces that this instance is limited to; none: all.
	Namespaces []string
	// Selector of the Accounts that this instance serves.
	Selector labels.Selector
	// MaxConcurrent passes over Subaccounts.
	MaxConcurrent int
	// Metrics is where what the resources and the Accounts tell is registered;
	// none: nowhere.
	Metrics prometheus.Registerer
}

// shareOfWorkers: reconciles of one main account hold at most one of so many
// workers while they wait for Plivo, so that calls that hang leave the others to
// other main accounts.
const shareOfWorkers = 4

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
		Client: mgr.GetClient(), Credentials: o.Credentials, OperatorNamespace: o.OperatorNamespace,
		Events: events, Selector: o.Selector, Live: live, ClusterUID: o.ClusterUID, SettleTime: o.Timeout + o.SettleMargin,
		EnqueueChanged: subaccounts.EnqueueChanged,
	}
	registry := mainaccount.NewRegistry(ctx, mainaccount.Options{
		NewClient: o.NewClient, Timeout: o.Timeout, Digester: o.Digester, Log: mgr.GetLogger(),
		Recorded: accounts.Recorded, Notify: accounts.Notify, Wake: subaccounts.Wake,
		Share: max(1, o.MaxConcurrent/shareOfWorkers),
	})
	subaccounts.Accounts, accounts.Accounts = registry, registry
	if err := subaccounts.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	if err := accounts.SetupWithManager(mgr); err != nil {
		return err
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(registry, &resources{mgr.GetCache(), o.Selector, mgr.Elected()})
	}
	return nil
}
