// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// lifecycle is what users do to one Subaccount: the steps in order, each at its time.
type lifecycle struct {
	key   types.NamespacedName
	steps []step
	end   *remoteState // nil: deleted at the end
}

type step struct {
	at time.Duration
	do action
	to remoteState
}

type action int

const (
	apply action = iota
	edit
	remove
)

// planLifecycle draws a lifecycle: applied, perhaps edited, perhaps deleted, perhaps
// applied again under the same name. The name at Plivo begins with an identity that is
// unique to each application and ends at the first space.
func planLifecycle(rng *rand.Rand, key types.NamespacedName, within time.Duration) lifecycle {
	l := lifecycle{key: key}
	at := time.Duration(rng.Int64N(int64(within) * 2 / 3))
	application, version := 1, 0
	add := func(do action) {
		version++
		to := remoteState{name: fmt.Sprintf("%s.%d v%d", key, application, version), enabled: rng.IntN(2) == 0}
		l.steps = append(l.steps, step{at, do, to})
		if l.end = &to; do == remove {
			l.end = nil
		}
		at += time.Duration(rng.Int64N(int64(within-at) / 2))
	}
	add(apply)
	for range rng.IntN(3) {
		add(edit)
	}
	if rng.IntN(5) == 0 {
		add(remove)
		if rng.IntN(2) == 0 {
			application++
			add(apply)
		}
	}
	return l
}

// runLifecycles executes all lifecycles at once. Like users, it retries a step that fails.
func (w *world) runLifecycles(users *sync.WaitGroup, lifecycles []lifecycle) {
	start := time.Now()
	for _, l := range lifecycles {
		users.Go(func() {
			defer GinkgoRecover()
			for _, s := range l.steps {
				time.Sleep(time.Until(start.Add(s.at)))
				retryUntilTrue(func() bool { return w.perform(l.key, s) })
			}
		})
	}
}

func retryUntilTrue(attempt func() bool) {
	GinkgoHelper()
	Eventually(attempt, 5*time.Minute, 300*time.Millisecond).Should(BeTrue())
}

// perform executes a step and returns whether it succeeded.
func (w *world) perform(key types.NamespacedName, s step) bool {
	obj := s.to.subaccount(key)
	switch s.do {
	case apply:
		return w.create(obj)
	case edit:
		patch := fmt.Sprintf(`{"spec":{"name":%q,"enabled":%v}}`, s.to.name, s.to.enabled)
		return w.k8s.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(patch))) == nil
	case remove:
		return client.IgnoreNotFound(w.k8s.Delete(ctx, obj)) == nil
	}
	panic(fmt.Sprintf("unknown action %d", s.do))
}

// create creates a Subaccount and returns whether it exists. An existing object is either
// of an earlier attempt whose response was lost, or a predecessor that is being deleted.
func (w *world) create(obj *v1alpha1.Subaccount) bool {
	want := obj.Spec.Name
	err := w.k8s.Create(ctx, obj)
	if apierrors.IsAlreadyExists(err) {
		err = w.k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return err == nil && obj.DeletionTimestamp.IsZero() && ptr.Equal(obj.Spec.Name, want)
	}
	return err == nil
}

// createAndDeleteNamespace creates a namespace with n Subaccounts, and deletes it directly
// after it has created the last of them.
func (w *world) createAndDeleteNamespace(namespace string, n int) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	isCreated := func() bool {
		err := w.k8s.Create(ctx, ns.DeepCopy())
		return err == nil || apierrors.IsAlreadyExists(err)
	}
	isDeleted := func() bool {
		return apierrors.IsNotFound(w.k8s.Delete(ctx, ns.DeepCopy()))
	}
	retryUntilTrue(isCreated)
	for i := range n {
		key := types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("s%d", i)}
		retryUntilTrue(func() bool { return w.create(remoteState{name: key.String() + ".1 v1"}.subaccount(key)) })
	}
	retryUntilTrue(isDeleted)
	// Kubernetes can remove a namespace and leave its Subaccounts: the discovery of an API
	// server that has just started lacks the CRDs, and the namespace controller deletes only
	// discovered kinds. The recovery is to create and delete the namespace once more.
	var left v1alpha1.SubaccountList
	retryUntilTrue(func() bool { return w.k8s.List(ctx, &left, client.InNamespace(namespace)) == nil })
	if len(left.Items) > 0 {
		w.logf("Kubernetes left %d Subaccounts in a deleted namespace", len(left.Items))
		retryUntilTrue(isCreated)
		retryUntilTrue(isDeleted)
	}
}
