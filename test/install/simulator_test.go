// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The chart with simulator.enabled", func() {
	It("installs the same containers, credentials and Account as config/simulator", func() {
		rendered, err := template("subaccount-operator", "subaccount-operator-system", "{simulator: {enabled: true}, defaultAccount: {sweepInterval: 10s}}")
		Expect(err).NotTo(HaveOccurred())
		built, err := run(nil, "", dryPlane.Kubectl, "kustomize", "config/simulator")
		Expect(err).NotTo(HaveOccurred())
		ofChart, ofConfig := parse(rendered), parse(built)
		Expect(ofChart.pod().Spec.Containers).To(HaveLen(2))
		Expect(ofChart.account().Spec).To(Equal(ofConfig.account().Spec))
		compared := 0
		chartByName, configByName := byName(ofChart), byName(ofConfig)
		for name, o := range chartByName {
			if strings.HasPrefix(name, "Deployment/") || strings.HasPrefix(name, "Secret/") {
				compared++
				// Labels of the release; config/simulator has none on the Secret.
				Expect(without(o, "labels")).To(Equal(without(configByName[name], "labels")), name)
			}
		}
		Expect(compared).To(Equal(2))
	})

	DescribeTable("rejects", func(values, why string) {
		_, err := template("op", "ops", "{simulator: {enabled: true}, "+values+"}")
		Expect(err).To(MatchError(ContainSubstring(why)))
	},
		Entry("a URL of Plivo", `plivoBaseURL: "https://plivo.example.com"`, "either the simulator or plivoBaseURL"),
		Entry("replicas", `replicaCount: 2`, "needs replicaCount 1"),
		Entry("credentials", `defaultAccount: {credentialsSecretName: plivo}`, "do not set defaultAccount.credentialsSecretName"),
	)
})
