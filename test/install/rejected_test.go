// SPDX-License-Identifier: Apache-2.0

package install

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The chart's values", func() {
	It("with several replicas require leader election", func() {
		_, err := template("op", "ops", `{replicaCount: 2, leaderElection: {enabled: false}}`)
		Expect(err).To(MatchError(ContainSubstring("more than one replica needs leaderElection.enabled")))
	})

	It("reject the name of an alert that does not exist", func() {
		_, err := template("op", "ops", `prometheusRule: {enabled: true, disabledAlerts: [SubaccountOperatorSlow]}`)
		Expect(err).To(MatchError(And(ContainSubstring("the chart has no alert SubaccountOperatorSlow"), ContainSubstring("SubaccountOperatorDown"))))
	})

	DescribeTable("are rejected by the schema:", func(values, where string) {
		_, err := template("op", "ops", values)
		Expect(err).To(MatchError(ContainSubstring("values don't meet the specifications of the schema")))
		Expect(err).To(MatchError(ContainSubstring(where)))
	},
		Entry("an unknown value", `replicas: 2`, "'replicas' not allowed"),
		Entry("an unknown nested value", `crds: {install: true}`, "at '/crds'"),
		Entry("a number as a string", `replicaCount: "2"`, "at '/replicaCount'"),
		Entry("a negative number", `replicaCount: -1`, "at '/replicaCount'"),
		Entry("a plain HTTP URL", `plivoBaseURL: http://plivo.example.com`, "at '/plivoBaseURL'"),
		Entry("a URL without a scheme", `plivoBaseURL: api.plivo.com`, "at '/plivoBaseURL'"),
		Entry("a user in the URL", `plivoBaseURL: https://me:secret@plivo.example.com`, "at '/plivoBaseURL'"),
		Entry("a default Account without credentials", `defaultAccount: {create: true}`, "at '/defaultAccount/credentialsSecretName'"),
		Entry("more requests than Plivo allows", `defaultAccount: {requestsPer5Seconds: 301}`, "at '/defaultAccount/requestsPer5Seconds'"),
		Entry("a duration without a unit", `defaultAccount: {sweepInterval: "300"}`, "at '/defaultAccount/sweepInterval'"),
		Entry("a grant of an ID that is no subaccount's", `defaultAccount: {adoption: [{namespace: a, authIDs: [MAXXXXXXXXXXXXXXXXXX]}]}`, "at '/defaultAccount/adoption/0/authIDs/0'"),
		Entry("namespaces as a string", `watchNamespaces: team-a,team-b`, "at '/watchNamespaces'"),
		Entry("an invalid namespace name", `watchNamespaces: ["team-*"]`, "at '/watchNamespaces/0'"),
		Entry("a duplicate namespace", `watchNamespaces: [team-a, team-a]`, "at '/watchNamespaces'"),
		Entry("an incomplete digest", `image: {digest: "sha256:12"}`, "at '/image/digest'"),
		Entry("an invalid pull policy", `image: {pullPolicy: Sometimes}`, "at '/image/pullPolicy'"),
		Entry("a negative number of pods", `podDisruptionBudget: {minAvailable: -1}`, "at '/podDisruptionBudget/minAvailable'"),
		Entry("a boolean as a string", `networkPolicy: {enabled: "yes"}`, "at '/networkPolicy/enabled'"),
		Entry("a list as a string", `admissionPolicy: {extraStatusWriters: velero}`, "at '/admissionPolicy/extraStatusWriters'"),
		Entry("an argument that is not a flag", `extraArgs: [debug]`, "at '/extraArgs/0'"),
		Entry("an unknown log level", `logLevel: verbose`, "at '/logLevel'"),
		Entry("an unknown log format", `logFormat: xml`, "at '/logFormat'"),
		Entry("another path of a probe", `livenessProbe: {httpGet: {path: /x}}`, "at '/livenessProbe'"),
		Entry("a probe that never runs", `readinessProbe: {periodSeconds: 0}`, "at '/readinessProbe/periodSeconds'"),
		Entry("an unknown DNS policy", `dnsPolicy: Cluster`, "at '/dnsPolicy'"),
		Entry("an invalid namespace", `namespaceOverride: a.b`, "at '/namespaceOverride'"),
		Entry("an invalid namespace of the alerts", `prometheusRule: {namespace: a.b}`, "at '/prometheusRule/namespace'"),
		Entry("runbooks without a URL", `prometheusRule: {runbookBaseURL: docs/runbooks}`, "at '/prometheusRule/runbookBaseURL'"),
		Entry("an object that is a list", `extraObjects: [[a]]`, "at '/extraObjects/0'"),
		Entry("an annotation that is no string", `deploymentAnnotations: {a: 1}`, "at '/deploymentAnnotations/a'"),
		Entry("an annotation of the Service that is no string", `metricsService: {annotations: {a: 1}}`, "at '/metricsService/annotations/a'"),
		Entry("an unknown right", `rbac: {pspEnabled: true}`, "at '/rbac'"),
		Entry("hosts as a map", `hostAliases: {a: b}`, "at '/hostAliases'"),
		Entry("init containers as a map", `initContainers: {a: b}`, "at '/initContainers'"),
		Entry("DNS configuration as a list", `dnsConfig: [a]`, "at '/dnsConfig'"),
		Entry("environment as a map", `extraEnv: {HTTPS_PROXY: x}`, "at '/extraEnv'"),
	)
})
