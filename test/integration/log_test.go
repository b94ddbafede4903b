// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
)

// logLines returns the log lines that contain all of the given key/value pairs.
func logLines(members map[string]any) []map[string]any {
	var found []map[string]any
	for text := range strings.Lines(logs.String()) {
		line := map[string]any{}
		if json.Unmarshal([]byte(text), &line) != nil {
			continue
		}
		matches := true
		for key, value := range members {
			matches = matches && line[key] == value
		}
		if matches {
			found = append(found, line)
		}
	}
	return found
}

var _ = Describe("The log", func() {
	It("has one info line for each create, update and delete call", func() {
		w := newWorld()
		s := w.apply("a")
		expectReady(s)
		authID := s.Status.AuthID
		edit(s, func(s *v1alpha1.Subaccount) { s.Spec.Name = ptr.To("Renamed") })
		Eventually(w.names).Should(Equal([]string{"Renamed"}))
		expectReady(s)
		Expect(k8s.Delete(ctx, s)).To(Succeed())
		Eventually(isGone(s)).Should(BeTrue())

		// The log reaches this process through a pipe, and thus possibly after the Subaccount is gone.
		var lines []map[string]any
		Eventually(func() []any {
			lines = logLines(map[string]any{"msg": "Called Plivo", "level": "info", "namespace": w.name, "name": "a"})
			var operations []any
			for _, line := range lines {
				operations = append(operations, line[logging.Operation])
			}
			return operations
		}).Should(Equal([]any{"create", "update", "update", "delete"}))
		for _, line := range lines {
			Expect(line).To(And(
				HaveKeyWithValue("controller", "subaccount"), HaveKey("reconcileID"),
				HaveKeyWithValue(logging.AuthID, authID), HaveKeyWithValue(logging.Outcome, "success"),
				HaveKeyWithValue(logging.Duration, HaveSuffix("ms")),
			))
		}
		Expect(lines[0]).To(HaveKeyWithValue(logging.Attempt, Not(BeEmpty())))
		Expect(logLines(map[string]any{"msg": "Started using credentials", "level": "info", logging.Account: w.name})).
			To(ConsistOf(HaveKeyWithValue(logging.AccountID, w.main)))
	})
})
