package subaccount

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

func TestWhatSaysNothingAnyMoreIsForgottenAndNothingElse(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		remember func(*memory, *v1alpha1.Subaccount)
		kept     bool
	}{
		"nothing":              {func(*memory, *v1alpha1.Subaccount) {}, false},
		"our last write":       {func(m *memory, s *v1alpha1.Subaccount) { m.recordWrite(s) }, false},
		"a call of long ago":   {func(m *memory, s *v1alpha1.Subaccount) { m.recordCall(s, time.Now()) }, false},
		"a call just now":      {func(m *memory, s *v1alpha1.Subaccount) { m.recordCall(s, later) }, true},
		"a refusal, done with": {func(m *memory, s *v1alpha1.Subaccount) { m.update(s, func(e *entry) { e.refusedAttempt = "x" }) }, false},
		"a pending creation": {func(_ *memory, s *v1alpha1.Subaccount) {
			s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "x"}
		}, true},
		"an answer that is not recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(e *entry) { e.response = &heldResponse{HeldResponse: plan.HeldResponse{AuthID: "SA1"}} })
		}, true},
		"an answer that is recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(e *entry) { e.response = &heldResponse{HeldResponse: plan.HeldResponse{AuthID: "SA1"}} })
			s.Status.AuthID = "SA1"
		}, false},
		"a judgement": {func(m *memory, s *v1alpha1.Subaccount) { m.update(s, func(e *entry) { e.confirmedClaim = "SA1" }) }, true},
		"a fight over the Secret": {func(m *memory, s *v1alpha1.Subaccount) {
			m.update(s, func(e *entry) { e.contest.countWrite("", false, later) })
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := newMemory(), &v1alpha1.Subaccount{}
			s.Namespace, s.Name, s.UID, s.ResourceVersion = "ns", "a", "u", "1"
			c.remember(m, s)
			m.get(s, later)
			if kept := len(m.entries) == 1; kept != c.kept || len(m.uids) != len(m.entries) {
				t.Errorf("kept: %v, %d names", kept, len(m.uids))
			}
		})
	}
}

func TestOfANameOnlyTheResourceThatHasItNowIsRemembered(t *testing.T) {
	m, key := newMemory(), types.NamespacedName{Namespace: "ns", Name: "a"}
	for _, uid := range []types.UID{"old", "older", "now"} {
		s := &v1alpha1.Subaccount{}
		s.Namespace, s.Name, s.UID = key.Namespace, key.Name, uid
		m.recordWrite(s)
	}
	m.forget(key, "now")
	if m.entries["now"] == nil || len(m.entries) != 1 || len(m.uids[key]) != 1 {
		t.Errorf("%d entries, %v", len(m.entries), m.uids)
	}
	m.forget(key, "")
	if len(m.entries)+len(m.uids) != 0 {
		t.Errorf("%v, %v", m.entries, m.uids)
	}
}

func TestOneAtATimeMayAskForAnAuthID(t *testing.T) {
	m := newMemory()
	if !m.tryClaim("SA1", "x") || !m.tryClaim("SA1", "x") || !m.tryClaim("SA2", "y") {
		t.Error("refused to whom nobody was before")
	}
	if m.tryClaim("SA1", "y") {
		t.Error("two may ask for one")
	}
	m.endClaim("x")
	if !m.tryClaim("SA1", "y") || m.tryClaim("SA2", "x") {
		t.Error("who is done has left something, or taken another's along")
	}
}
