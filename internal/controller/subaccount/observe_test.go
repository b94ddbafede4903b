package subaccount

import (
	"context"
	"testing"
	"testing/synctest"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Every sweep observes every Subaccount. A copy of an Account with thousands of
// grants, or of all that claim one authID, would be made for each of them.
func TestObserve_Reads_CopyNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 10)
		s := g.apply("a")
		s.Spec.Secret.Name, s.Status.AuthID = "new", "SAAAAAAAAAAAAAAAAAAA"
		reads := 0
		g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if reads++; !ptr.Deref((&client.GetOptions{}).ApplyOptions(opts).UnsafeDisableDeepCopy, false) {
					t.Errorf("a copy of the %T %s is made", obj, key)
				}
				return c.Get(ctx, key, obj, opts...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if reads++; !ptr.Deref((&client.ListOptions{}).ApplyOptions(opts).UnsafeDisableDeepCopy, false) {
					t.Errorf("a copy of a %T is made", list)
				}
				return c.List(ctx, list, opts...)
			},
		})
		if g.reconciler.observe(t.Context(), s); reads != 6 {
			t.Errorf("%d reads: the namespace, the Account, two Secrets by name, others by owner, and the claimants are 6", reads)
		}
	})
}
