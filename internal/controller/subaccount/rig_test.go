// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const mainID, mainToken = "MAAAAAAAAAAAAAAAAAAA", "main-token"

// rig is a reconciler over an API server in memory and a simulated Plivo.
type rig struct {
	t          *testing.T
	sim        *plivosim.Server
	k8s        client.Client
	reconciler *Reconciler
	account    *mainaccount.Account
	woken      []string
}

// newRig returns a rig whose Account "default" has the given request budget and
// has completed a sweep. It needs a synctest bubble.
func newRig(t *testing.T, budget int) *rig {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	indexes := &collectedIndexes{fake.NewClientBuilder().WithScheme(scheme)}
	if err := kube.AddIndexes(t.Context(), indexes); err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t}
	g.k8s = indexes.builder.WithStatusSubresource(&v1alpha1.Subaccount{}, &v1alpha1.Account{}).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}},
		&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "subaccounts." + v1alpha1.Group}},
		&v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.AccountSpec{NamespaceSelector: &metav1.LabelSelector{}}},
	).Build()
	g.sim = plivosim.New(plivosim.Options{Accounts: map[string]string{mainID: mainToken}, Seed: 1})
	digester := plivo.NewDigester([]byte("key"))
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	g.reconciler = &Reconciler{
		Client: g.k8s, Live: kube.LiveReader{Reader: g.k8s}, Events: events.NewFakeRecorder(1000), Digester: digester, Selector: labels.Everything(),
		Timeout: 10 * time.Second, SettleTime: 40 * time.Second, MaxConcurrent: 64, memory: newMemory(), retries: kube.NewRetries(),
	}
	g.reconciler.Accounts = mainaccount.NewRegistry(ctx, mainaccount.Options{
		NewClient: func(c plivo.Credentials) *plivo.Client {
			return plivo.NewClient(&url.URL{Scheme: "https", Host: "plivo.test"}, &http.Client{Transport: inprocess.Transport{Handler: g.sim}}, c, "test")
		},
		Timeout: g.reconciler.Timeout, Digester: digester,
		Recorded: func(string) ([]string, bool) { return nil, true }, Notify: func(string) {},
		Wake: func(key plivo.Key) { g.woken = append(g.woken, key.Name) }, Share: 16,
	})
	g.account = g.reconciler.Accounts.Configure("default", plivo.Credentials{AuthID: mainID, Token: plivo.NewToken(mainToken)}, budget, time.Hour, false)
	time.Sleep(2 * plivo.Window)
	return g
}

type collectedIndexes struct{ builder *fake.ClientBuilder }

// IndexField implements client.FieldIndexer.
func (c *collectedIndexes) IndexField(_ context.Context, obj client.Object, field string, extract client.IndexerFunc) error {
	c.builder.WithIndex(obj, field, extract)
	return nil
}

func (g *rig) apply(name string) *v1alpha1.Subaccount {
	g.t.Helper()
	s := &v1alpha1.Subaccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Generation: 1},
		Spec: v1alpha1.SubaccountSpec{Name: &name, AccountRef: v1alpha1.AccountReference{Name: "default"}, Secret: v1alpha1.SubaccountSecret{
			Keys: v1alpha1.SecretKeys{AuthID: "auth_id", AuthToken: "auth_token"}, // the CRD's defaults
		}},
		Status: v1alpha1.SubaccountStatus{ObservedGeneration: -1},
	}
	if err := g.k8s.Create(g.t.Context(), s); err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *rig) reconcile(s *v1alpha1.Subaccount) ctrl.Result {
	g.t.Helper()
	result, err := g.reconciler.Reconcile(g.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s)})
	if err != nil {
		g.t.Fatal(err)
	}
	return result
}

// startQueue gives the reconciler a queue, which the caller must shut down.
func (g *rig) startQueue() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	g.t.Helper()
	queue := g.reconciler.queue.newQueue("test", kube.Backoff())
	if err := g.reconciler.queue.Start(g.t.Context(), queue); err != nil {
		g.t.Fatal(err)
	}
	return queue
}

func (g *rig) reload(s *v1alpha1.Subaccount) *v1alpha1.Subaccount {
	g.t.Helper()
	if err := g.k8s.Get(g.t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		g.t.Fatal(err)
	}
	return s
}

// remove removes the finalizer of a resource and deletes it.
func (g *rig) remove(s *v1alpha1.Subaccount) {
	g.t.Helper()
	g.reload(s).Finalizers = nil
	if err := errors.Join(g.k8s.Update(g.t.Context(), s), g.k8s.Delete(g.t.Context(), s)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) reason(s *v1alpha1.Subaccount) string {
	g.t.Helper()
	if c := meta.FindStatusCondition(g.reload(s).Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

// spend takes every slot of the budget and returns one of them.
func (g *rig) spend(budget int) (slot *plivo.Slot) {
	g.t.Helper()
	for range budget {
		var err error
		if slot, err = g.account.AcquireSlot(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
	}
	return slot
}
