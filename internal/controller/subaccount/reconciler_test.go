// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
