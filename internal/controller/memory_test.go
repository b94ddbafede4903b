package controller

import (
	"testing"
	"time"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

func TestWhatSaysNothingAnyMoreIsForgottenAndNothingElse(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		remember func(*memory, *v1alpha1.Subaccount)
		kept     bool
	}{
		"nothing":              {func(*memory, *v1alpha1.Subaccount) {}, false},
		"our last write":       {func(m *memory, s *v1alpha1.Subaccount) { m.wrote(s) }, false},
		"a call of long ago":   {func(m *memory, s *v1alpha1.Subaccount) { m.called(s, time.Now()) }, false},
		"a call just now":      {func(m *memory, s *v1alpha1.Subaccount) { m.called(s, later) }, true},
		"a refusal, done with": {func(m *memory, s *v1alpha1.Subaccount) { m.with(s, func(e *entry) { e.refused = "x" }) }, false},
		"a pending creation": {func(_ *memory, s *v1alpha1.Subaccount) {
			s.Status.PendingCreation = &v1alpha1.PendingCreation{Attempt: "x"}
		}, true},
		"an answer that is not recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.with(s, func(e *entry) { e.held = &held{Held: subaccount.Held{AuthID: "SA1"}} })
		}, true},
		"an answer that is recorded": {func(m *memory, s *v1alpha1.Subaccount) {
			m.with(s, func(e *entry) { e.held = &held{Held: subaccount.Held{AuthID: "SA1"}} })
			s.Status.AuthID = "SA1"
		}, false},
		"a judgement":                {func(m *memory, s *v1alpha1.Subaccount) { m.with(s, func(e *entry) { e.judged = "SA1" }) }, true},
		"a place that is waited for": {func(m *memory, s *v1alpha1.Subaccount) { m.booking(s) }, true},
		"a fight over the Secret": {func(m *memory, s *v1alpha1.Subaccount) {
			m.with(s, func(e *entry) { e.contestedUntil = later.Add(time.Minute) })
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
