package controller

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
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

func TestWriteSecret_RefusedWithTheOldToken_IsReportedWithoutIt(t *testing.T) {
	const old = "the-old-token-0123456789"
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 10)
		s := g.apply("a")
		s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "auth_id", AuthToken: "auth_token"}
		if err := g.k8s.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		g.reconcile(s)
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: s.Namespace, Name: "a-plivo"}
		if err := g.k8s.Get(t.Context(), key, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data[s.Spec.Secret.Keys.AuthToken] = []byte(old)
		if err := g.k8s.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
			Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
				return apierrors.NewForbidden(corev1.Resource("secrets"), secret.Name, errors.New("it was "+old))
			},
		})
		time.Sleep(staleFor + time.Second)
		g.reconcile(s)
		got := &v1alpha1.Subaccount{}
		if err := g.k8s.Get(t.Context(), client.ObjectKeyFromObject(s), got); err != nil {
			t.Fatal(err)
		}
		ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Reason != v1alpha1.ReasonKubernetesError || strings.Contains(ready.Message, old) {
			t.Errorf("%+v", ready)
		}
	})
}
