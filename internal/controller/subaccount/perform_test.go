// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
)

// accountCluster holds at most one Account.
type accountCluster struct {
	client.Client
	account *v1alpha1.Account
	writes  int
}

func (c *accountCluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if c.account != nil {
		list.(*v1alpha1.AccountList).Items = []v1alpha1.Account{*c.account.DeepCopy()}
	}
	return nil
}

func (c *accountCluster) Status() client.SubResourceWriter { return &accountStatusWriter{c: c} }

type accountStatusWriter struct {
	client.SubResourceWriter
	c *accountCluster
}

func (w *accountStatusWriter) Patch(_ context.Context, obj client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	w.c.writes++
	obj.(*v1alpha1.Account).DeepCopyInto(w.c.account)
	return nil
}

func TestRecordOrphan_RepeatedOrWithoutAccount_WritesOnce(t *testing.T) {
	cluster := &accountCluster{}
	r := &Reconciler{Client: cluster, Live: kube.LiveReader{Reader: cluster}}
	record := func(authID string) {
		t.Helper()
		if err := r.recordOrphan(t.Context(), "default", authID); err != nil {
			t.Fatal(err)
		}
	}
	record("SA1") // there is no Account
	cluster.account = &v1alpha1.Account{Status: v1alpha1.AccountStatus{Orphaned: []string{"SA0"}}}
	record("SA1")
	record("SA1")
	if got := cluster.account.Status.Orphaned; !slices.Equal(got, []string{"SA0", "SA1"}) || cluster.writes != 1 {
		t.Errorf("got %v after %d writes, want SA0 and SA1 after 1", got, cluster.writes)
	}
}
