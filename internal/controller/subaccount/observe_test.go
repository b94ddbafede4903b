// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"testing"
	"testing/synctest"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Every sweep causes one observe for every Subaccount. With copies, each of them
// would copy an Account with thousands of grants, or all claimants of an authID.
func TestObserve_CachedObjects_AreNotCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 10)
		s := g.apply("a")
		s.Spec.Secret.Name, s.Status.AuthID = "new", "SAAAAAAAAAAAAAAAAAAA"
		reads := 0
		g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if reads++; !ptr.Deref((&client.GetOptions{}).ApplyOptions(opts).UnsafeDisableDeepCopy, false) {
					t.Errorf("got a copy of the %T %s, want none", obj, key)
				}
				return c.Get(ctx, key, obj, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if reads++; !ptr.Deref((&client.ListOptions{}).ApplyOptions(opts).UnsafeDisableDeepCopy, false) {
					t.Errorf("got a copy of a %T, want none", list)
				}
				return c.List(ctx, list, opts...)
			},
		})
		if g.reconciler.observe(t.Context(), s); reads != 6 {
			t.Errorf("got %d reads, want 6: namespace, Account, two Secrets by name, Secrets by owner, claimants", reads)
		}
	})
}
