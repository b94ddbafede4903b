package subaccount

import (
	"bytes"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// A Secret is contested if a policy, a webhook or another controller changes it
// whenever the operator writes it: after contestAfter writes that followed each
// other closely. A write that does not even come back as it was sent counts as
// half of them. A contested Secret is left for a minute, and for twice as long
// each further time.
const (
	contestAfter = 10
	contestClose = 10 * time.Second // from one write to the next
	contestMax   = 32 * time.Minute
)

// contest is what is known of the writes of one Secret.
type contest struct {
	writes int // that followed each other closely
	at     time.Time
	rounds int // that it was contested
	until  time.Time
	by     string // field managers whose changes were undone
}

// countWrite counts a write over what the given field managers had made of the Secret.
func (c *contest) countWrite(by string, changed bool, now time.Time) {
	if now.After(c.endsAt()) {
		*c = contest{}
	}
	c.at = now
	if c.writes++; changed {
		c.writes += contestAfter/2 - 1
	}
	if by != "" {
		c.by = by
	}
	if c.writes >= contestAfter {
		c.until = now.Add(min(time.Minute<<min(c.rounds, 10), contestMax))
		c.writes, c.rounds = contestAfter-1, c.rounds+1
	}
}

// endsAt is when the next write begins a new count.
func (c *contest) endsAt() time.Time {
	if c.until.After(c.at) {
		return c.until.Add(time.Minute)
	}
	return c.at.Add(contestClose)
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
