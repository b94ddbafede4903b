// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// withReason returns a Status whose Subaccount has a reason of that age.
func withReason(reason string, age time.Duration) *Status {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", Generation: 2}}
	s.Spec.AccountRef.Name = "default"
	plan.SetConditions(&s.Status.Conditions, reason, "The message.", 2, metav1.NewTime(now.Add(-age)))
	a := &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	plan.SetConditions(&a.Status.Conditions, v1alpha1.ReasonReady, "", 0, metav1.NewTime(now.Add(-time.Hour)))
	return &Status{Subaccount: s, Account: a, Now: now}
}

func written(t *testing.T, s *Status) string {
	t.Helper()
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatus_EachReason_SaysWhoActsAndWhatToDo(t *testing.T) {
	for _, reason := range v1alpha1.Reasons() {
		t.Run(reason, func(t *testing.T) {
			a, ok := advices[reason]
			if !ok {
				t.Fatal("got no advice for the reason")
			}
			got := written(t, withReason(reason, 5*time.Minute))
			if reason == v1alpha1.ReasonReady {
				if want := "subaccount ns/a is Ready since 5m.\n"; !strings.HasPrefix(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
				return
			}
			for _, want := range []string{"not Ready since 5m: " + reason, "The message.", "Who acts:    " + a.who, "What to do:  " + a.do} {
				if !strings.Contains(got, want) {
					t.Errorf("got\n%s\nwant %q in it", got, want)
				}
			}
		})
	}
	if got, want := len(advices), len(v1alpha1.Reasons()); got != want {
		t.Errorf("got %d advices, want %d", got, want)
	}
}

func TestStatus_SpecNotReconciled_PointsToTheOperator(t *testing.T) {
	never, outdated := withReason(v1alpha1.ReasonReady, time.Minute), withReason(v1alpha1.ReasonReady, time.Minute)
	never.Subaccount.Status.Conditions = nil
	outdated.Subaccount.Generation++
	for name, s := range map[string]*Status{"never": never, "not the latest": outdated} {
		if got := written(t, s); !strings.Contains(got, "is not Ready") || !strings.Contains(got, notReconciled.do) {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestStatus_ForeignSecretUnderTheWantedName_IsNotTheOperators(t *testing.T) {
	renamed := withReason(v1alpha1.ReasonReady, time.Minute)
	renamed.Subaccount.Status.Binding = &v1alpha1.SecretBinding{Name: "old"}
	restored := withReason(v1alpha1.ReasonSecretConflict, time.Minute)
	restored.Subaccount.Status.Binding = &v1alpha1.SecretBinding{Name: "a-plivo"}
	for name, s := range map[string]*Status{"renamed": renamed, "restored": restored} {
		if got := written(t, s); !strings.Contains(got, "a-plivo exists and is not the operator's") {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestStatus_PartsThatCannotBeRead_AreReportedAndTheRestIsShown(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	for want, change := range map[string]func(*Status){
		"default does not exist":                   func(s *Status) { s.AccountError = apierrors.NewNotFound(schema.GroupResource{}, "default") },
		"default cannot be read: broken":           func(s *Status) { s.AccountError = errors.New("broken") },
		"default is not Ready since 60m":           func(s *Status) { s.Account.Status.Conditions[0].Status = metav1.ConditionFalse },
		"default is not reconciled":                func(s *Status) { s.Account.Status.Conditions = nil },
		"a-plivo does not exist":                   func(s *Status) { s.SecretError = apierrors.NewNotFound(secrets, "a-plivo") },
		"a-plivo: you may not read it":             func(s *Status) { s.SecretError = apierrors.NewForbidden(secrets, "a-plivo", nil) },
		"a-plivo exists and is not the operator's": func(*Status) {},
		"a-plivo has the credentials": func(s *Status) {
			s.Subaccount.Status.Binding = &v1alpha1.SecretBinding{Name: "a-plivo"}
		},
		"none at Plivo yet": func(*Status) {},
		`SA1 "Team\x1b", enabled`: func(s *Status) {
			s.Subaccount.Status.AuthID, s.Subaccount.Status.Name, s.Subaccount.Status.Enabled = "SA1", ptr.To("Team\x1b"), ptr.To(true)
		},
		"a create call of 2m ago": func(s *Status) {
			s.Subaccount.Status.PendingCreation = &v1alpha1.PendingCreation{Since: metav1.NewTime(s.Now.Add(-2 * time.Minute))}
		},
		"Events:      cannot be read: oops": func(s *Status) { s.EventsError = errors.New("oops") },
	} {
		s := withReason(v1alpha1.ReasonCreating, time.Minute)
		change(s)
		if got := written(t, s); !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

func TestStatus_ManyEvents_ShowsTheLatest(t *testing.T) {
	s := withReason(v1alpha1.ReasonCreating, time.Minute)
	for i := range maxEvents + 2 {
		s.Events = append(s.Events, eventsv1.Event{
			Type: "Normal", Reason: "R", Note: string(rune('a' + i)), EventTime: metav1.NewMicroTime(s.Now.Add(time.Duration(i-10) * time.Minute)),
		})
	}
	got := written(t, s)
	if strings.Contains(got, " b\n") || !strings.Contains(got, "  4m    Normal   R                    g\n  5m ") {
		t.Errorf("got\n%s", got)
	}
}
