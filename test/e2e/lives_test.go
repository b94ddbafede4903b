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

// life is what users do to one Subaccount, in this order, each at its time.
type life struct {
	key   types.NamespacedName
	steps []step
	end   *look // nil: it is gone in the end
}

type step struct {
	at time.Duration
	do deed
	to look
}

type deed int

const (
	apply deed = iota
	edit
	remove
)

// planLife draws a life within the time given: applied, perhaps edited,
// perhaps deleted, perhaps then applied again under the same name. Each
// application has an identity of its own at the beginning of its name at Plivo,
// up to the first space.
func planLife(rng *rand.Rand, key types.NamespacedName, within time.Duration) life {
	l := life{key: key}
	at := time.Duration(rng.Int64N(int64(within) * 2 / 3))
	application, version := 1, 0
	add := func(do deed) {
		version++
		to := look{name: fmt.Sprintf("%s.%d v%d", key, application, version), enabled: rng.IntN(2) == 0}
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

// live lives all lives at once. Users do not give up: what fails is tried again.
func (w *world) live(users *sync.WaitGroup, lives []life) {
	start := time.Now()
	for _, l := range lives {
		users.Go(func() {
			defer GinkgoRecover()
			for _, s := range l.steps {
				time.Sleep(time.Until(start.Add(s.at)))
				persist(func() bool { return w.perform(l.key, s) })
			}
		})
	}
}

// persist tries again and again.
func persist(try func() bool) {
	GinkgoHelper()
	Eventually(try, 5*time.Minute, 300*time.Millisecond).Should(BeTrue())
}

// perform does what a step says; false: it is to be tried again.
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
	panic("no such deed")
}

// create makes a Subaccount. That it exists may be by an earlier try whose
// answer was lost, or because its predecessor is not gone yet.
func (w *world) create(obj *v1alpha1.Subaccount) bool {
	want := obj.Spec.Name
	err := w.k8s.Create(ctx, obj)
	if apierrors.IsAlreadyExists(err) {
		err = w.k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return err == nil && obj.DeletionTimestamp.IsZero() && ptr.Equal(obj.Spec.Name, want)
	}
	return err == nil
}

// doom makes a namespace with n Subaccounts, and deletes it the moment that it
// has been told to make the last of them.
func (w *world) doom(namespace string, n int) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	made := func() bool {
		err := w.k8s.Create(ctx, ns.DeepCopy())
		return err == nil || apierrors.IsAlreadyExists(err)
	}
	gone := func() bool {
		return apierrors.IsNotFound(w.k8s.Delete(ctx, ns.DeepCopy()))
	}
	persist(made)
	for i := range n {
		key := types.NamespacedName{Namespace: namespace, Name: fmt.Sprintf("s%d", i)}
		persist(func() bool { return w.create(look{name: key.String() + ".1 v1"}.subaccount(key)) })
	}
	persist(gone)
	// Kubernetes can let a namespace go and leave what is in it: an API server
	// that has just started does not tell of the CRDs yet when the namespace
	// controller asks it what there is to be deleted. Nothing can be written
	// there then, and the way out is to make the namespace once more.
	var left v1alpha1.SubaccountList
	persist(func() bool { return w.k8s.List(ctx, &left, client.InNamespace(namespace)) == nil })
	if len(left.Items) > 0 {
		w.tell("Kubernetes left %d Subaccounts in a namespace that is gone", len(left.Items))
		persist(made)
		persist(gone)
	}
}
