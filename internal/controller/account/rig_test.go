// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
	"github.com/subaccount-operator/subaccount-operator/test/inprocess"
)

const (
	testMain      = "MAAAAAAAAAAAAAAAAAAA"
	testOtherMain = "MABBBBBBBBBBBBBBBBBB"
	testCluster   = types.UID("01234567-0000-0000-0000-000000000000")
	testNamespace = "operator"
	testInterval  = 5 * time.Minute
	testSettle    = 40 * time.Second
)

// accountRig is a Reconciler with a fake API server and a simulated Plivo. Only
// the test calls Reconcile.
type accountRig struct {
	t    *testing.T
	sim  *plivosim.Server
	k8s  client.WithWatch
	live client.Reader // for live reads; defaults to k8s
	// beforeStatus runs before each write of a status, which its error refuses.
	beforeStatus func() error
	// beforePatch runs before each patch of an object, which its error refuses.
	beforePatch func() error
	// beforeCall runs before each request to Plivo.
	beforeCall func(*http.Request)

	accounts *Reconciler
	enqueued []string // Accounts whose changed Subaccounts were enqueued
	stop     context.CancelFunc
}

func withAccounts(t *testing.T, f func(*testing.T, *accountRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &accountRig{t: t, beforeStatus: func() error { return nil }, beforePatch: func() error { return nil }, beforeCall: func(*http.Request) {}}
		r.sim = plivosim.New(plivosim.Options{Accounts: map[string]string{testMain: "token", testOtherMain: "token"}, Seed: 1})
		scheme := runtime.NewScheme()
		if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
			t.Fatal(err)
		}
		index := func(of func(*v1alpha1.Subaccount) string) client.IndexerFunc {
			return func(o client.Object) []string {
				if value := of(o.(*v1alpha1.Subaccount)); value != "" {
					return []string{value}
				}
				return nil
			}
		}
		r.k8s = fake.NewClientBuilder().WithScheme(scheme).
			WithStatusSubresource(&v1alpha1.Account{}, &v1alpha1.Subaccount{}).
			WithIndex(&v1alpha1.Account{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
			WithIndex(&v1alpha1.Subaccount{}, kube.IndexAccount, index(func(s *v1alpha1.Subaccount) string { return s.Spec.AccountRef.Name })).
			WithIndex(&v1alpha1.Subaccount{}, kube.IndexAuthID, index(plan.ClaimedAuthID)).
			WithIndex(&corev1.Secret{}, kube.IndexOwner, func(client.Object) []string { return nil }).
			WithIndex(&v1alpha1.Subaccount{}, kube.SelectAuthID, index(func(s *v1alpha1.Subaccount) string { return s.Status.AuthID })).
			WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
					if err := r.beforePatch(); err != nil {
						return err
					}
					return c.Patch(ctx, obj, patch, opts...)
				},
				SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
					if err := r.beforeStatus(); err != nil {
						return err
					}
					return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
				},
			}).Build()
		r.start()
		defer func() { r.stop() }()
		f(t, r)
	})
}

// start simulates a restart: it creates a Reconciler with an empty memory.
func (r *accountRig) start() {
	if r.stop != nil {
		r.stop()
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	base := &url.URL{Scheme: "https", Host: "plivo.test"}
	recorder := events.NewFakeRecorder(10000)
	live := r.live
	if live == nil {
		live = r.k8s
	}
	a := &Reconciler{
		Client: r.k8s, SecretCache: secretsOf{reader: r.k8s}, OperatorNamespace: testNamespace, Events: recorder, Selector: labels.Everything(), retries: kube.NewRetries(),
	}
	a.Accounts = mainaccount.NewRegistry(ctx, mainaccount.Options{
		NewClient: func(c plivo.Credentials) *plivo.Client {
			return plivo.NewClient(base, &http.Client{Transport: inprocess.Transport{Handler: r}}, c, "test")
		},
		Timeout: 10 * time.Second, Digester: plivo.NewDigester([]byte("key")), Recorded: a.Recorded, Notify: func(string) {},
	})
	a.Live, a.ClusterUID, a.SettleTime = kube.LiveReader{Reader: live}, testCluster, testSettle
	a.EnqueueChanged = func(_ context.Context, name string) error {
		r.enqueued = append(r.enqueued, name)
		return nil
	}
	r.accounts = a
}

// secretsOf is a cache of Secrets that never lags behind the reader.
type secretsOf struct {
	cache.Cache
	reader client.Reader
}

func (s secretsOf) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return s.reader.Get(ctx, key, obj, opts...)
}

func (r *accountRig) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.beforeCall(req)
	r.sim.ServeHTTP(w, req)
}

func (r *accountRig) create(obj client.Object) {
	r.t.Helper()
	if err := r.k8s.Create(context.Background(), obj); err != nil {
		r.t.Fatal(err)
	}
}

// account creates an Account and its Secret. It waits, so that every Account has
// another creationTimestamp.
func (r *accountRig) account(name, main string) {
	r.t.Helper()
	time.Sleep(time.Second)
	r.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name},
		Data:       map[string][]byte{"auth_id": []byte(main), "auth_token": []byte("token")},
	})
	a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.Now()}}
	a.Spec.CredentialsSecretRef.Name, a.Spec.NamespaceSelector = name, &metav1.LabelSelector{}
	a.Spec.SweepInterval.Duration, a.Spec.RequestsPer5Seconds = testInterval, 150
	r.create(a)
}

// recorded creates Subaccounts with a recorded authID, and their subaccounts.
func (r *accountRig) recorded(accountName, main string, n int) (authIDs []string) {
	r.t.Helper()
	for i := range n {
		id := r.sim.Add(main, "name", false).AuthID
		s := r.subaccount(fmt.Sprint(accountName, i), accountName)
		s.Finalizers = []string{v1alpha1.Finalizer}
		r.create(s)
		s.Status.AuthID, s.Status.AccountID = id, main
		if err := r.k8s.Status().Update(context.Background(), s); err != nil {
			r.t.Fatal(err)
		}
		authIDs = append(authIDs, id)
	}
	return authIDs
}

func (r *accountRig) subaccount(name, accountName string) *v1alpha1.Subaccount {
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: name, UID: types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012x", name))}}
	s.Spec.AccountRef.Name, s.Spec.Name = accountName, new("name")
	return s
}

func (r *accountRig) reconcile(name string) (ctrl.Result, error) {
	return r.accounts.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
}

// settle reconciles the Accounts several times, so that their sweeps can end.
func (r *accountRig) settle(names ...string) {
	r.t.Helper()
	for range 5 {
		for _, name := range names {
			if _, err := r.reconcile(name); err != nil {
				r.t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
	}
}

// sweep requests a sweep and reconciles the Account after it.
func (r *accountRig) sweep(name string) {
	r.t.Helper()
	acct, ok := r.accounts.Accounts.Get(name)
	if !ok {
		r.t.Fatal("no such Account")
	}
	acct.RequestSweep(time.Now())
	r.settle(name)
}

func (r *accountRig) get(name string) *v1alpha1.Account {
	r.t.Helper()
	a := &v1alpha1.Account{}
	if err := r.k8s.Get(context.Background(), types.NamespacedName{Name: name}, a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *accountRig) wantReason(name, want string) {
	r.t.Helper()
	c := meta.FindStatusCondition(r.get(name).Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != want {
		r.t.Errorf("Account %s: got %+v, want the reason %s", name, c, want)
	}
}

func (r *accountRig) annotate(name, value string) {
	r.t.Helper()
	a := r.get(name)
	a.Annotations = map[string]string{v1alpha1.ConfirmDisappearanceAnnotation: value}
	if value == "" {
		a.Annotations = nil
	}
	if err := r.k8s.Update(context.Background(), a); err != nil {
		r.t.Fatal(err)
	}
}

func (r *accountRig) isGuardOn(name string) bool {
	acct, ok := r.accounts.Accounts.Get(name)
	return ok && acct.GuardOn()
}
