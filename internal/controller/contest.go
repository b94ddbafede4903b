package controller

import (
	"bytes"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// A Secret that did not stay as written for contestAfter writes, each
// within contestWindow of the last, is contested: a policy, a webhook or another
// controller changes it. It is then left for a minute, and for twice as long
// after each further write, up to contestMax.
const (
	contestAfter  = 3
	contestWindow = time.Minute
	contestMax    = 32 * time.Minute
)

// contestedUntil is when the Secret may be written again, zero if it is not
// contested.
func (e *entry) contestedUntil() time.Time {
	if e.secretWrites < contestAfter {
		return time.Time{}
	}
	return e.secretAt.Add(min(time.Minute<<min(e.secretWrites-contestAfter, 10), contestMax))
}

// contestEnds is when a write of the Secret begins a new count.
func (e *entry) contestEnds() time.Time {
	last := e.secretAt
	if until := e.contestedUntil(); until.After(last) {
		last = until
	}
	return last.Add(contestWindow)
}

// wroteSecret counts a write of a Secret.
func (m *memory) wroteSecret(s *v1alpha1.Subaccount, by string, now time.Time) (contestedUntil time.Time, contestedBy string) {
	m.with(s, func(e *entry) {
		if now.After(e.contestEnds()) {
			e.secretWrites, e.contestedBy = 0, ""
		}
		e.secretWrites, e.secretAt = e.secretWrites+1, now
		if by != "" {
			e.contestedBy = by
		}
		contestedUntil, contestedBy = e.contestedUntil(), e.contestedBy
	})
	return contestedUntil, contestedBy
}

// fieldManager is the operator's own, which client-go takes from the user agent.
const fieldManager = "subaccount-operator"

// otherManagers are the field managers beside the operator that have written one
// of the keys of a Secret's data.
func otherManagers(secret *corev1.Secret, keys v1alpha1.SecretKeys) string {
	var managers []string
	for _, m := range secret.ManagedFields {
		wrote := m.FieldsV1 != nil && slices.ContainsFunc([]string{keys.AuthID, keys.AuthToken}, func(key string) bool {
			return bytes.Contains(m.FieldsV1.GetRawBytes(), []byte(`"f:`+key+`"`))
		})
		if wrote && m.Manager != fieldManager {
			managers = append(managers, m.Manager)
		}
	}
	return strings.Join(managers, ", ")
}
