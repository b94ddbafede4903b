// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

var _ = Describe("A restore", func() {
	It("of an older etcd restores the backup's Subaccounts and keeps newer subaccounts", func() {
		w := newWorld("tenant")
		m := w.startManager()
		all := wanted{}
		w.apply(all, "tenant", "s", 20)
		w.expectExact(all, time.Minute)
		copied := filepath.Join(w.dir, "etcd")
		Expect(w.plane.Backup(copied)).To(Succeed())
		newer, unfinished := w.changeAfterBackup(all)

		w.recorder.saveResources("before-the-restore")
		// The manager continues with a stale cache until the spec restarts it. Every client
		// that watches needs a restart after a restore of etcd.
		w.logf("restoring")
		Expect(w.plane.Restore(copied)).To(Succeed())
		sweeps := w.plivo.sweeps()
		Eventually(w.plivo.sweeps).Should(BeNumerically(">", sweeps+1))
		w.logf("restarting the manager")
		_ = m.Stop(syscall.SIGKILL)
		w.startManager()

		// The renamed subaccount gets its older name again. The operator recreates the
		// deleted subaccounts, because the backup contains their Subaccounts. The newer
		// subaccounts have no Subaccount any more, and the operator must keep them.
		w.strangers = append(w.strangers, newer...)
		deleted := 2 // before the restore
		if w.served == nil {
			deleted++ // the stray
		} else {
			// The operator must keep the stray: its Subaccount may be in a namespace that this
			// instance does not serve.
			w.strangers = append(w.strangers, unfinished)
		}
		w.expectExact(all, 4*time.Minute)
		Expect(w.plivo.committedIDs(plivosim.OpCreate)).To(HaveLen(20 + 6 + 2))
		Expect(w.plivo.committedIDs(plivosim.OpDelete)).To(HaveLen(deleted))

		w.recoverLostStatus(all, newer[0])
		Expect(w.plivo.committedIDs(plivosim.OpCreate)).To(HaveLen(20 + 6 + 2))
		Expect(w.plivo.committedIDs(plivosim.OpDelete)).To(HaveLen(deleted))
	})
})

// changeAfterBackup changes the cluster after the backup. It returns the subaccounts that
// the backup does not contain: five that are complete, and one whose creation is pending.
func (w *world) changeAfterBackup(copied wanted) (newer []plivosim.Subaccount, unfinished plivosim.Subaccount) {
	all := maps.Clone(copied)
	before := w.plivo.subaccounts()
	key := func(i int) types.NamespacedName {
		return types.NamespacedName{Namespace: "tenant", Name: fmt.Sprint("s-", i)}
	}
	all[key(0)] = remoteState{name: "Renamed", enabled: true}
	retryUntilTrue(func() bool { return w.perform(key(0), step{do: edit, to: all[key(0)]}) })
	for i := 1; i <= 2; i++ {
		Expect(w.k8s.Delete(ctx, all[key(i)].subaccount(key(i)))).To(Succeed())
		delete(all, key(i))
	}
	w.apply(all, "tenant", "newer", 5)
	w.expectExact(all, time.Minute)
	for id, s := range w.plivo.subaccounts() {
		if _, known := before[id]; !known {
			newer = append(newer, s)
		}
	}
	Expect(newer).To(HaveLen(5))
	// The creation of one more is pending. After the restore no Subaccount claims its marker.
	w.plivo.failCreates(1, plivosim.Fault{When: plivosim.After, What: plivosim.Hang})
	w.apply(all, "tenant", "newest", 1)
	Eventually(func() int { return len(w.plivo.committedIDs(plivosim.OpCreate)) }).Should(Equal(20 + 6))
	for id, s := range w.plivo.subaccounts() {
		if _, known := before[id]; !known && !slices.Contains(newer, s) {
			unfinished = s
		}
	}
	return newer, unfinished
}

// recoverLostStatus applies a Subaccount with the finalizer and without a status, as a
// restore from manifests does. Then it follows the documented recovery.
func (w *world) recoverLostStatus(all wanted, remote plivosim.Subaccount) {
	key := types.NamespacedName{Namespace: "tenant", Name: "lost"}
	all[key] = remoteState{remote.Name, remote.Enabled}
	current := &v1alpha1.Subaccount{}
	reason := func() string {
		if err := w.k8s.Get(ctx, key, current); err != nil {
			return string(apierrors.ReasonForError(err))
		}
		return reasonOf(current)
	}
	changes := w.changes()
	lost := all[key].subaccount(key)
	lost.Finalizers = []string{v1alpha1.Finalizer}
	Expect(w.k8s.Create(ctx, lost)).To(Succeed())
	Eventually(reason).Should(Equal("False/StatusLost"))
	Expect(w.k8s.Delete(ctx, lost)).To(Succeed())
	sweeps := w.plivo.sweeps()
	Eventually(w.plivo.sweeps).Should(BeNumerically(">", sweeps+1))
	Expect(reason()).To(Equal("False/StatusLost"), "the operator must keep the finalizer")
	Expect(current.DeletionTimestamp).NotTo(BeNil())
	Expect(w.k8s.Patch(ctx, lost, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deletionPolicy":"Orphan"}}`)))).To(Succeed())
	Eventually(reason).Should(Equal("NotFound"))
	Expect(w.changes()).To(Equal(changes), "the operator must not call Plivo for it")

	account := &v1alpha1.Account{}
	account.Name = "default"
	Expect(w.k8s.Patch(ctx, account, client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
		`{"spec":{"adoption":[{"namespace":"tenant","authIDs":[%q]}]}}`, remote.AuthID)))).To(Succeed())
	found := all[key].subaccount(key)
	found.Spec.AuthID, found.Spec.DeletionPolicy = &remote.AuthID, v1alpha1.DeletionPolicyDelete
	Expect(w.k8s.Create(ctx, found)).To(Succeed())
	w.strangers = w.strangersExcept(remote)
	w.expectExact(all, time.Minute)
}
