// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

func TestCountWrite_FrequentWrites_Pause(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		writes  int
		changed bool
		every   time.Duration
		want    time.Duration // pause after the last write
	}{
		"edited five times by hand":                   {6, false, time.Second, 0},
		"changed back by a controller":                {contestAfter, false, time.Second, time.Minute},
		"changed back, now and then":                  {100, false, contestClose + time.Second, 0},
		"changed by a webhook, once":                  {1, true, time.Second, 0},
		"changed by a webhook, twice":                 {2, true, time.Second, time.Minute},
		"changed by a webhook, again after the pause": {3, true, time.Minute, 2 * time.Minute},
		"changed by a webhook, for hours":             {20, true, time.Minute, contestMax},
		"changed by a webhook that was removed":       {1, false, time.Second, 0},
	} {
		var contested contest
		now := start
		for i := range c.writes {
			if i > 0 {
				now = now.Add(c.every)
			}
			if i == 1 && c.every >= time.Minute {
				now = start // one reconcile makes the first two writes
			}
			if contested.pausedUntil.After(now) {
				now = contested.pausedUntil
			}
			contested.countWrite("", c.changed, now)
		}
		if got := max(0, contested.pausedUntil.Sub(now)); got != c.want {
			t.Errorf("%s: got a pause of %v, want %v", name, got, c.want)
		}
	}
}

func TestOtherManagers_SeveralManagers_ReturnsOwnersOfTheKeys(t *testing.T) {
	entry := func(manager, fields string) metav1.ManagedFieldsEntry {
		f := &metav1.FieldsV1{}
		f.SetRawBytes([]byte(fields))
		return metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: f}
	}
	secret := &corev1.Secret{}
	secret.ManagedFields = []metav1.ManagedFieldsEntry{
		entry(fieldManager, `{"f:data":{"f:auth_id":{}}}`),
		entry("rotator", `{"f:data":{"f:auth_token":{}}}`),
		entry("labeller", `{"f:metadata":{"f:labels":{"f:team":{}}}}`),
	}
	if got := otherManagers(secret, v1alpha1.SecretKeys{AuthID: "auth_id", AuthToken: "auth_token"}); got != "rotator" {
		t.Errorf("got %q, want rotator", got)
	}
}
