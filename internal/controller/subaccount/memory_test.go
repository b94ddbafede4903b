// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestMemory_IdleResource_IsDropped(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		remember func(*memory, *v1alpha1.Subaccount)
		kept     bool
	}{
		"nothing":       {func(*memory, *v1alpha1.Subaccount) {}, false},
		"an old write":  {func(m *memory, s *v1alpha1.Subaccount) { m.recordWrite(s) }, false},
		"an old call":   {func(m *memory, s *v1alpha1.Subaccount) { m.recordCall(s, time.Now()) }, false},
		"a recent call": {func(m *memory, s *v1alpha1.Subaccount) { m.recordCall(s, later) }, true},
		"an attempt is refused": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(rm *resourceMemory) { rm.refusedAttempt = "x" })
		}, false},
		"a pending creation": {func(_ *memory, s *v1alpha1.Subaccount) {
			s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "x"}
		}, true},
		"a response that is not recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(rm *resourceMemory) { rm.response = &heldResponse{HeldResponse: plan.HeldResponse{AuthID: "SA1"}} })
		}, true},
		"a response that is recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(rm *resourceMemory) { rm.response = &heldResponse{HeldResponse: plan.HeldResponse{AuthID: "SA1"}} })
			s.Status.AuthID = "SA1"
		}, false},
		"a confirmed claim": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(rm *resourceMemory) { rm.confirmedClaim = "SA1" })
		}, true},
		"a contested Secret": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(rm *resourceMemory) { rm.contest.countWrite("", false, later) })
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := newMemory(), &v1alpha1.Subaccount{}
			s.Namespace, s.Name, s.UID, s.ResourceVersion = "ns", "a", "u", "1"
			c.remember(m, s)
			m.get(s, later)
			if kept := len(m.byUID) == 1; kept != c.kept || len(m.uids) != len(m.byUID) {
				t.Errorf("got kept %v with %d names, want kept %v", kept, len(m.uids), c.kept)
			}
		})
	}
}

func TestMemory_ForgetExcept_KeepsOnlyTheCurrentResource(t *testing.T) {
	m, key := newMemory(), types.NamespacedName{Namespace: "ns", Name: "a"}
	for _, uid := range []types.UID{"old", "older", "now"} {
		s := &v1alpha1.Subaccount{}
		s.Namespace, s.Name, s.UID = key.Namespace, key.Name, uid
		m.recordWrite(s)
	}
	m.forgetExcept(key, "now")
	if m.byUID["now"] == nil || len(m.byUID) != 1 || len(m.uids[key]) != 1 {
		t.Errorf("got %d resources, %v, want only the current one", len(m.byUID), m.uids)
	}
	m.forgetExcept(key, "")
	if len(m.byUID)+len(m.uids) != 0 {
		t.Errorf("got %v, %v, want nothing", m.byUID, m.uids)
	}
}

func TestMemory_TwoClaimOneAuthID_AllowsOneAtATime(t *testing.T) {
	m := newMemory()
	if !m.tryClaim("SA1", "x") || !m.tryClaim("SA1", "x") || !m.tryClaim("SA2", "y") {
		t.Error("got a refused claim, want it allowed: no other Subaccount claims the authID")
	}
	if m.tryClaim("SA1", "y") {
		t.Error("got two concurrent claims of one authID, want one")
	}
	m.endClaim("x")
	if !m.tryClaim("SA1", "y") || m.tryClaim("SA2", "x") {
		t.Error("endClaim must end the claims of that Subaccount, and no others")
	}
}
