// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/plivosim"
)

// expectExact waits until the exact rule holds: each wanted Subaccount has one subaccount
// and one Secret, and nothing else exists except the strangers.
func (w *world) expectExact(all wanted, within time.Duration) {
	GinkgoHelper()
	Eventually(func() []string { return w.differences(all) }, within, "1s").Should(BeEmpty())
	w.logf("exact: %d Subaccounts; %d creates sent, %d of them carried out", len(all),
		w.plivo.sent(plivosim.OpCreate), len(w.plivo.committedIDs(plivosim.OpCreate)))
}

// expectNoChanges checks that further sweeps change nothing.
func (w *world) expectNoChanges(all wanted) {
	GinkgoHelper()
	sweeps, changes := w.plivo.sweeps(), w.changes()
	Eventually(w.plivo.sweeps).Should(BeNumerically(">", sweeps+2))
	Expect(w.differences(all)).To(BeEmpty())
	Expect(w.changes()).To(Equal(changes))
}

// changes counts the calls that change a subaccount.
func (w *world) changes() int {
	return w.plivo.sent(plivosim.OpCreate) + w.plivo.sent(plivosim.OpUpdate) + w.plivo.sent(plivosim.OpDelete)
}

// differences describes every violation of the exact rule.
func (w *world) differences(all wanted) []string {
	rows, err := w.plivo.list()
	if err != nil {
		return []string{err.Error()}
	}
	var existing v1alpha1.SubaccountList
	var secrets corev1.SecretList
	if err := w.k8s.List(ctx, &existing); err != nil {
		return []string{err.Error()}
	}
	if err := w.k8s.List(ctx, &secrets, client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}); err != nil {
		return []string{err.Error()}
	}
	c := comparison{remote: map[string]plivosim.Subaccount{}, secrets: map[types.NamespacedName]corev1.Secret{}}
	for _, row := range rows {
		c.remote[row.AuthID] = row
	}
	for _, s := range secrets.Items {
		c.secrets[client.ObjectKeyFromObject(&s)] = s
	}
	missing := len(all)
	for _, s := range existing.Items {
		want, ok := all[client.ObjectKeyFromObject(&s)]
		if !ok {
			c.differ(&s, "still exists, want it deleted")
			continue
		}
		missing--
		c.compare(&s, want, w.plivo.account)
	}
	if missing > 0 {
		c.found = append(c.found, fmt.Sprintf("got %d Subaccounts, want %d", len(all)-missing, len(all)))
	}
	for _, stranger := range w.strangers {
		if c.remote[stranger.AuthID] != stranger {
			c.found = append(c.found, fmt.Sprintf("got the stranger %+v, want it unchanged: %+v", c.remote[stranger.AuthID], stranger))
		}
		delete(c.remote, stranger.AuthID)
	}
	for id, row := range c.remote {
		c.found = append(c.found, fmt.Sprintf("subaccount without a Subaccount: %s %q", id, row.Name))
	}
	for key := range c.secrets {
		c.found = append(c.found, fmt.Sprintf("Secret without a Subaccount: %s", key))
	}
	slices.Sort(c.found)
	return c.found
}

// comparison collects differences. remote and secrets lose each entry that belongs to a
// Subaccount.
type comparison struct {
	remote  map[string]plivosim.Subaccount
	secrets map[types.NamespacedName]corev1.Secret
	found   []string
}

func (c *comparison) differ(s *v1alpha1.Subaccount, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s/%s: %s", s.Namespace, s.Name, fmt.Sprintf(format, args...)))
}

func (c *comparison) compare(s *v1alpha1.Subaccount, want remoteState, account string) {
	remote, ok := c.remote[s.Status.AuthID]
	if !ok {
		c.differ(s, "%s: its subaccount %q does not exist or belongs to another Subaccount", reasonOf(s), s.Status.AuthID)
		return
	}
	delete(c.remote, s.Status.AuthID)
	if (remoteState{remote.Name, remote.Enabled}) != want {
		c.differ(s, "got the name %q and enabled=%v at Plivo, want %+v", remote.Name, remote.Enabled, want)
	}
	if reason := reasonOf(s); reason != "True/Ready" {
		c.differ(s, "got Ready %s, want True/Ready", reason)
	}
	if s.Status.AccountID != account || s.Status.PendingCreation != nil || s.Status.ObservedGeneration != s.Generation {
		c.differ(s, "got accountID %q, pendingCreation %v, observedGeneration %d; want %q, none, %d",
			s.Status.AccountID, s.Status.PendingCreation, s.Status.ObservedGeneration, account, s.Generation)
	}
	if ptr.Deref(s.Status.Name, "") != remote.Name || ptr.Deref(s.Status.Enabled, !remote.Enabled) != remote.Enabled {
		c.differ(s, "got status.name %q, want %q; or status.enabled differs from %v",
			ptr.Deref(s.Status.Name, ""), remote.Name, remote.Enabled)
	}
	key := types.NamespacedName{Namespace: s.Namespace, Name: plan.SecretName(s)}
	data := c.secrets[key].Data
	delete(c.secrets, key)
	if len(data) != 2 || string(data["auth_id"]) != remote.AuthID || string(data["auth_token"]) != remote.AuthToken {
		c.differ(s, "its Secret does not contain exactly its credentials")
	}
}

// reasonOf returns the status and reason of Ready, such as "True/Ready".
func reasonOf(s *v1alpha1.Subaccount) string {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != s.Generation {
		return "not reconciled"
	}
	return string(ready.Status) + "/" + ready.Reason
}

// expectOneNamed checks that of all subaccounts that were ever created for one
// Subaccount, duplicates included, only one got its name.
func (w *world) expectOneNamed() {
	GinkgoHelper()
	named := w.plivo.namedSubaccounts()
	Expect(named).NotTo(BeEmpty())
	for identity, ids := range named {
		Expect(ids).To(HaveLen(1), identity)
	}
}
