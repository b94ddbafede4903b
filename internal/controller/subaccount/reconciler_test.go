// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
			queue := g.reconciler.queue.newQueue("test", kube.Backoff())
			defer queue.ShutDown()
			if err := g.reconciler.queue.Start(t.Context(), queue); err != nil {
				t.Fatal(err)
			}
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
