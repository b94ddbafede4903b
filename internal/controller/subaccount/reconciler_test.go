// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/mainaccount"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// clusterWithoutFinalizers stores one Subaccount and accepts every patch, but
// does not store it, like a webhook that removes the finalizer.
type clusterWithoutFinalizers struct {
	client.Client
	s       *v1alpha1.Subaccount
	patches int
	status  string // the last status patch
}

func (c *clusterWithoutFinalizers) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	if s, ok := obj.(*v1alpha1.Subaccount); ok {
		c.s.DeepCopyInto(s)
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (c *clusterWithoutFinalizers) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return nil
}

func (c *clusterWithoutFinalizers) Patch(_ context.Context, obj client.Object, _ client.Patch, _ ...client.PatchOption) error {
	c.patches++
	c.s.DeepCopyInto(obj.(*v1alpha1.Subaccount))
	return nil
}

func (c *clusterWithoutFinalizers) Status() client.SubResourceWriter { return &statusWriter{c: c} }

type statusWriter struct {
	client.SubResourceWriter
	c *clusterWithoutFinalizers
}

func (w *statusWriter) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	data, err := patch.Data(obj)
	w.c.status = string(data)
	return err
}

func TestReconcile_StepWithoutEffect_RetriesAndReports(t *testing.T) {
	s := &v1alpha1.Subaccount{}
	s.Namespace, s.Name, s.UID, s.Generation, s.ResourceVersion = "ns", "a", "u", 1, "1"
	s.Status.ObservedGeneration, s.Status.AuthID, s.Status.AccountID = 1, "SA1", "MA1"
	cluster := &clusterWithoutFinalizers{s: s}
	r := &Reconciler{
		Client: cluster, Events: events.NewFakeRecorder(10), Selector: labels.Everything(), memory: newMemory(), retries: kube.NewRetries(),
		Accounts: mainaccount.NewRegistry(t.Context(), mainaccount.Options{}), Timeout: time.Second, SettleTime: time.Second,
	}
	result, _ := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s)})
	if cluster.patches != maxSteps {
		t.Errorf("got %d patches, want %d", cluster.patches, maxSteps)
	}
	if result.RequeueAfter != kube.RetryFirst {
		t.Errorf("got a retry after %v, want %v", result.RequeueAfter, kube.RetryFirst)
	}
	if !strings.Contains(cluster.status, "AddFinalizer") {
		t.Errorf("got the status %s, want a message with AddFinalizer", cluster.status)
	}
}

// An Account that changes and changes back during a reconcile leaves no status behind
// that says otherwise.
func TestReconcile_AccountChangesDuringStatusWrite_IsReconciledAgain(t *testing.T) {
	for _, when := range []string{"before the write", "before the cache has the write"} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, 100)
			s := g.apply("a")
			g.reconcile(s)
			if got := g.reason(s); got != v1alpha1.ReasonReady {
				t.Fatalf("got the reason %s, want Ready", got)
			}
			queue := g.startQueue()
			defer queue.ShutDown()
			allow := func(labels map[string]string) {
				a := &v1alpha1.Account{}
				if err := g.k8s.Get(t.Context(), types.NamespacedName{Name: "default"}, a); err != nil {
					t.Fatal(err)
				}
				a.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: labels}
				if err := g.k8s.Update(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			allow(map[string]string{"plivo": "allowed"})
			before := g.reload(s).DeepCopy()
			lagging := interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
				List: func(ctx context.Context, k8s client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
					err := k8s.List(ctx, list, opts...)
					if all, ok := list.(*v1alpha1.SubaccountList); ok && len(all.Items) == 1 {
						all.Items[0] = *before
					}
					return err
				},
			})
			restore := func() {
				allow(nil)
				current := g.reconciler.Client
				g.reconciler.Client = lagging
				if err := g.reconciler.EnqueueChanged(t.Context(), "default"); err != nil { // as the reconciler of Accounts does
					t.Fatal(err)
				}
				g.reconciler.Client = current
			}
			g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
				SubResourcePatch: func(ctx context.Context, k8s client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
					if when == "before the write" {
						restore()
					}
					return k8s.SubResource(sub).Patch(ctx, obj, patch, opts...)
				},
			})
			g.reconcile(s)
			if when != "before the write" {
				restore()
			}
			synctest.Wait()
			if got := g.reason(s); got != v1alpha1.ReasonNamespaceNotAllowed || queue.Len() != 1 {
				t.Errorf("%s: got the reason %s and %d in the queue, want NamespaceNotAllowed and 1", when, got, queue.Len())
			}
		})
	}
}

// Each reconcile after a status write would read the subaccount again.
func TestReconcile_RefusedGet_IsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 100)
		s := g.apply("a")
		g.reconcile(s)
		queue := g.startQueue()
		defer queue.ShutDown()
		if err := g.k8s.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a-plivo"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		g.sim.ResetCalls()
		for i := range 20 {
			g.sim.ClearFaults()
			g.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpGet}, Status: http.StatusPaymentRequired, Text: fmt.Sprintf(`{"error": "refused, ref %d"}`, i)})
			after := g.reconcile(s).RequeueAfter
			if synctest.Wait(); queue.Len() == 0 && after == 0 {
				break
			}
			time.Sleep(after)
		}
		if got := g.reason(s); got != v1alpha1.ReasonRejected || len(g.sim.Calls()) != 1 {
			t.Errorf("got the reason %s and %d calls, want Rejected and one", got, len(g.sim.Calls()))
		}
	})
}

// The list has shown the marker already.
func TestEnqueueChanged_AdoptionOfMarker_CostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 100)
		a := &v1alpha1.Account{}
		if err := g.k8s.Get(t.Context(), types.NamespacedName{Name: "default"}, a); err != nil {
			t.Fatal(err)
		}
		a.Spec.Adoption = []v1alpha1.AdoptionGrant{{Namespace: "ns", AuthIDs: []string{v1alpha1.AnyAuthID}}}
		if err := g.k8s.Update(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		unfinished := g.sim.Add(mainID, plan.Marker("01234567", "01234567-0123-0123-0123-0123456789ab"), false).AuthID
		time.Sleep(time.Hour) // a sweep
		s := g.apply("a")
		s.Spec.AuthID = &unfinished
		if err := g.k8s.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		queue := g.startQueue()
		defer queue.ShutDown()
		g.sim.ResetCalls()
		g.reconcile(s)
		if err := g.reconciler.EnqueueChanged(t.Context(), "default"); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); g.reason(s) != v1alpha1.ReasonAdoptionForbidden || len(g.sim.Calls())+queue.Len() != 0 {
			t.Errorf("got the reason %s, %d calls and %d in the queue, want AdoptionForbidden and none", g.reason(s), len(g.sim.Calls()), queue.Len())
		}
	})
}

// A refused update does not keep the operator from restoring the Secret.
func TestReconcile_UpdateRefusedAndForeignSecretRemoved_RestoresSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 100)
		s := g.apply("a")
		g.reconcile(s)
		name := metav1.ObjectMeta{Namespace: "ns", Name: "a-plivo"}
		g.reload(s).Spec.Name, s.Generation = new("refused"), 2
		if err := errors.Join(g.k8s.Update(t.Context(), s), g.k8s.Delete(t.Context(), &corev1.Secret{ObjectMeta: name}), g.k8s.Create(t.Context(), &corev1.Secret{ObjectMeta: name})); err != nil {
			t.Fatal(err)
		}
		g.sim.Inject(plivosim.Fault{Ops: []plivosim.Op{plivosim.OpUpdate}, Status: http.StatusBadRequest})
		for range 3 {
			g.reconcile(s)
			time.Sleep(time.Minute)
		}
		if err := g.k8s.Delete(t.Context(), &corev1.Secret{ObjectMeta: name}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			g.reconcile(s)
			time.Sleep(time.Minute)
		}
		if err := g.k8s.Get(t.Context(), types.NamespacedName{Namespace: "ns", Name: "a-plivo"}, &corev1.Secret{}); err != nil {
			t.Errorf("got %v and the reason %s, want the Secret restored", err, g.reason(s))
		}
	})
}
