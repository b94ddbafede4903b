// SPDX-License-Identifier: Apache-2.0

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
// whenever the operator writes it. The operator assumes that after contestAfter
// points. A write counts 1 point, or contestAfter/2 points if the API server
// returned other content than was sent. The points expire contestClose after the
// last write. The operator then pauses its writes of the Secret for a minute, and
// for twice as long each further time, up to contestMax.
const (
	contestAfter = 10
	contestClose = 10 * time.Second
	contestMax   = 32 * time.Minute
)

// contest counts the writes of one Secret.
type contest struct {
	points      int
	lastWrite   time.Time
	pauses      int // in a row
	pausedUntil time.Time
	managers    string // field managers whose changes the operator undid, comma-separated
}

// countWrite counts a write that undid changes of the given field managers.
// changed says that the API server returned other content than was sent.
func (c *contest) countWrite(managers string, changed bool, now time.Time) {
	if now.After(c.endsAt()) {
		*c = contest{}
	}
	c.lastWrite = now
	if c.points++; changed {
		c.points += contestAfter/2 - 1
	}
	if managers != "" {
		c.managers = managers
	}
	if c.points >= contestAfter {
		c.pausedUntil = now.Add(min(time.Minute<<min(c.pauses, 10), contestMax))
		c.points, c.pauses = contestAfter-1, c.pauses+1
	}
}

// endsAt returns the time after which the next write starts a new count.
func (c *contest) endsAt() time.Time {
	if c.pausedUntil.After(c.lastWrite) {
		return c.pausedUntil.Add(time.Minute)
	}
	return c.lastWrite.Add(contestClose)
}

// fieldManager is the operator's own field manager. client-go derives it from
// the user agent.
const fieldManager = "subaccount-operator"

// otherManagers returns the field managers, other than the operator, that own
// one of the keys of a Secret's data, comma-separated.
func otherManagers(secret *corev1.Secret, keys v1alpha1.SecretKeys) string {
	var managers []string
	for _, m := range secret.ManagedFields {
		ownsKey := m.FieldsV1 != nil && slices.ContainsFunc([]string{keys.AuthID, keys.AuthToken}, func(key string) bool {
			return bytes.Contains(m.FieldsV1.GetRawBytes(), []byte(`"f:`+key+`"`))
		})
		if ownsKey && m.Manager != fieldManager {
			managers = append(managers, m.Manager)
		}
	}
	return strings.Join(managers, ", ")
}
