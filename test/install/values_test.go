// SPDX-License-Identifier: Apache-2.0

package install

import (
	"encoding/json"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

var _ = Describe("The chart's values", Ordered, ContinueOnFailure, func() {
	BeforeAll(func() {
		for _, name := range []string{"ops", "team-a", "team-b", "456"} {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if name == "ops" {
				namespace.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
			}
			Expect(dryClient.Create(ctx, namespace)).To(Succeed())
		}
	})

	// The API server must accept the manifests, pod security must admit the pod, and the
	// manager must know its arguments.
	DescribeTable("render manifests that can be installed", func(values string, check func(all objects, manager *corev1.Container)) {
		text, err := template("op", "ops", values)
		Expect(err).NotTo(HaveOccurred())
		all := parse(text)
		all.expectAccepted()
		pod := all.pod()
		Expect(dryClient.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())
		manager := &pod.Spec.Containers[0]
		out, err := run(nil, "", managerBinary, append(slices.Clone(manager.Args), "--version")...)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(HavePrefix("subaccount-operator "))
		check(all, manager)
	},
		Entry("by default", ``, func(all objects, manager *corev1.Container) {
			Expect(manager.Image).To(Equal("ghcr.io/subaccount-operator/subaccount-operator:v0.0.0-dev"))
			Expect(all.of("CustomResourceDefinition")).To(HaveLen(2))
			for _, crd := range all.of("CustomResourceDefinition") {
				Expect(crd.GetAnnotations()).To(HaveKeyWithValue("helm.sh/resource-policy", "keep"))
			}
			for _, kind := range []string{"Account", "Secret", "ServiceMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"} {
				Expect(all.of(kind)).To(BeEmpty())
			}
			Expect(all.writers()).To(Equal(`["system:serviceaccount:ops:op-subaccount-operator-manager"]`))
			Expect(all.rolesOnSecrets()).To(ConsistOf("ClusterRole/", "Role/ops"))
		}),
		Entry("without CRDs", `crds: {enabled: false}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("CustomResourceDefinition")).To(BeEmpty())
		}),
		Entry("with CRDs that helm deletes with the release", `crds: {keep: false}`, func(all objects, _ *corev1.Container) {
			for _, crd := range all.of("CustomResourceDefinition") {
				Expect(crd.GetAnnotations()).NotTo(HaveKey("helm.sh/resource-policy"))
			}
		}),
		Entry("with a default Account", `defaultAccount: {create: true, credentialsSecretName: plivo}`, func(all objects, _ *corev1.Container) {
			a := all.account()
			Expect(a.Name).To(Equal("default"))
			Expect(a.Annotations).To(Equal(map[string]string{"helm.sh/resource-policy": "keep"}))
			Expect(a.Spec).To(Equal(v1alpha1.AccountSpec{
				CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: "plivo"}, NamespaceSelector: &metav1.LabelSelector{},
			}))
		}),
		Entry("with all fields of a default Account", `
accountSelector: shard in (a,b)
defaultAccount:
  create: true
  name: main
  credentialsSecretName: plivo
  labels: {shard: a}
  namespaceSelector: {matchLabels: {plivo: "yes"}}
  requestsPer5Seconds: 250
  sweepInterval: 10m
  allowedDeletionPolicies: [Delete]
  allowedCascadePolicies: [Reassign]
  adoption: [{namespace: team-a, authIDs: [SAXXXXXXXXXXXXXXXXXX]}]`, func(all objects, manager *corev1.Container) {
			Expect(manager.Args).To(ContainElement("--account-selector=shard in (a,b)"))
			Expect(manager.Args).To(ContainElement("--leader-election-id=" + all.lease()))
			Expect(all.lease()).NotTo(Equal("subaccount-operator.plivo.subaccount-operator.dev"))
			a := all.account()
			Expect(a.Name).To(Equal("main"))
			Expect(a.Labels).To(HaveKeyWithValue("shard", "a"))
			Expect(a.Spec.NamespaceSelector.MatchLabels).To(HaveKey("plivo"))
			Expect(a.Spec.RequestsPer5Seconds).To(BeEquivalentTo(250))
			Expect(a.Spec.SweepInterval.Duration).To(Equal(10 * time.Minute))
			Expect(a.Spec.AllowedDeletionPolicies).To(ConsistOf(v1alpha1.DeletionPolicyDelete))
			Expect(a.Spec.AllowedCascadePolicies).To(ConsistOf(v1alpha1.CascadePolicyReassign))
			Expect(a.Spec.Adoption).To(Equal([]v1alpha1.AdoptionGrant{{Namespace: "team-a", AuthIDs: []string{"SAXXXXXXXXXXXXXXXXXX"}}}))
		}),
		Entry("for some namespaces", `watchNamespaces: [team-a, team-b]`, func(all objects, manager *corev1.Container) {
			Expect(manager.Args).To(ContainElement("--namespaces=team-a,team-b"))
			Expect(manager.Args).To(ContainElement("--leader-election-id=" + all.lease()))
			Expect(all.rolesOnSecrets()).To(ConsistOf("Role/ops", "Role/team-a", "Role/team-b"))
		}),
		Entry("with replicas", `{replicaCount: 3, podDisruptionBudget: {enabled: true, maxUnavailable: 50%}}`, func(all objects, manager *corev1.Container) {
			Expect(all.deployment().Spec.Replicas).To(HaveValue(BeEquivalentTo(3)))
			Expect(manager.Args).To(ContainElements("--leader-elect", "--leader-election-id=subaccount-operator.plivo.subaccount-operator.dev"))
			Expect(all.lease()).To(Equal("subaccount-operator.plivo.subaccount-operator.dev"))
			Expect(all.field("PodDisruptionBudget", "spec", "maxUnavailable")).To(Equal("50%"))
			Expect(all.field("PodDisruptionBudget", "spec", "selector", "matchLabels")).To(HaveKeyWithValue("app.kubernetes.io/instance", "op"))
		}),
		Entry("with a disruption budget by minAvailable", `{replicaCount: 3, podDisruptionBudget: {enabled: true, minAvailable: 2}}`, func(all objects, _ *corev1.Container) {
			Expect(all.field("PodDisruptionBudget", "spec")).To(And(HaveKeyWithValue("minAvailable", BeEquivalentTo(2)), Not(HaveKey("maxUnavailable"))))
		}),
		Entry("without leader election", `leaderElection: {enabled: false}`, func(all objects, manager *corev1.Container) {
			Expect(manager.Args).NotTo(ContainElement("--leader-elect"))
			Expect(all.deployment().Spec.Strategy.Type).To(Equal(appsv1.RecreateDeploymentStrategyType))
		}),
		Entry("as a dependency of another chart with a condition", `{enabled: true, global: {any: thing}}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("Deployment")).To(HaveLen(1))
		}),
		Entry("with another Plivo URL and extra arguments", `
plivoBaseURL: https://plivo.example.com/eu
extraArgs: [--plivo-timeout=5s]`, func(_ objects, manager *corev1.Container) {
			Expect(manager.Args).To(ContainElements("--plivo-base-url=https://plivo.example.com/eu", "--plivo-timeout=5s"))
		}),
		Entry("with the simulator", `
global: {imageRegistry: registry.example.com}
simulator: {enabled: true, image: {tag: v7}, extraArgs: [--latency=50ms]}
openshift: {enabled: true}`, func(all objects, manager *corev1.Container) {
			Expect(manager.Args).To(ContainElement("--plivo-base-url=http://127.0.0.1:8089"))
			simulator := all.pod().Spec.Containers[1]
			Expect(simulator.Image).To(Equal("registry.example.com/subaccount-operator/plivo-sim:v7"))
			Expect(simulator.Args).To(ContainElements("--listen=127.0.0.1:8089", "--latency=50ms"))
			Expect(simulator.SecurityContext).To(Equal(manager.SecurityContext))
			Expect(all.account().Spec.CredentialsSecretRef.Name).To(Equal(all.of("Secret")[0].GetName()))
		}),
		Entry("for the Prometheus operator and Grafana", `
serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboards: {enabled: true, annotations: {grafana_folder: Plivo}}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("ServiceMonitor")[0].GetLabels()).To(HaveKeyWithValue("release", "prometheus"))
			Expect(all.field("ServiceMonitor", "spec", "endpoints")).To(ConsistOf(And(
				HaveKeyWithValue("interval", "30s"), HaveKeyWithValue("scheme", "https"), HaveKeyWithValue("port", "https"))))
			Expect(all.of("Service")[0].GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/component", "metrics"))
			Expect(all.field("ServiceMonitor", "spec", "selector", "matchLabels")).To(Equal(map[string]any{
				"app.kubernetes.io/name": "subaccount-operator", "app.kubernetes.io/instance": "op", "app.kubernetes.io/component": "metrics",
			}))
			Expect(all.of("PrometheusRule")[0].GetLabels()).To(HaveKeyWithValue("release", "prometheus"))
			Expect(all.field("PrometheusRule", "spec", "groups")).NotTo(BeEmpty())
			dashboard := all.of("ConfigMap")[0]
			Expect(dashboard.GetLabels()).To(HaveKeyWithValue("grafana_dashboard", "1"))
			Expect(dashboard.GetAnnotations()).To(HaveKeyWithValue("grafana_folder", "Plivo"))
			text := all.field("ConfigMap", "data").(map[string]any)["op-subaccount-operator.json"]
			Expect(json.Valid([]byte(text.(string)))).To(BeTrue())
		}),
		Entry("without some alerts, and with other runbooks and another namespace", `
prometheusRule: {enabled: true, namespace: team-a, disabledAlerts: [SubaccountOperatorRateLimited], runbookBaseURL: https://runbooks.example.com/plivo/}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("PrometheusRule")[0].GetNamespace()).To(Equal("team-a"))
			rules := all.field("PrometheusRule", "spec", "groups").([]any)[0].(map[string]any)["rules"].([]any)
			Expect(rules).To(HaveLen(11))
			for _, rule := range rules {
				alert := rule.(map[string]any)["alert"].(string)
				Expect(alert).NotTo(Equal("SubaccountOperatorRateLimited"))
				Expect(rule).To(HaveKeyWithValue("annotations", HaveKeyWithValue("runbook_url", "https://runbooks.example.com/plivo/"+alert+".md")))
			}
		}),
		Entry("with further objects", `
commonLabels: {team: platform}
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: plain, namespace: "{{ .Release.Namespace }}"}}
- |
  apiVersion: v1
  kind: ConfigMap
  metadata:
    name: {{ include "subaccount-operator.fullname" . }}-text
    namespace: {{ .Release.Namespace }}
    labels:
      {{- include "subaccount-operator.labels" (list .) | nindent 6 }}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("ConfigMap")).To(ConsistOf(
				HaveField("GetName()", "plain"),
				And(HaveField("GetName()", "op-subaccount-operator-text"), HaveField("GetLabels()", HaveKeyWithValue("team", "platform")))))
			Expect(all.of("ConfigMap")).To(HaveEach(HaveField("GetNamespace()", "ops")))
		}),
		Entry("without RBAC", `rbac: {create: false}`, func(all objects, _ *corev1.Container) {
			for _, kind := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} {
				Expect(all.of(kind)).To(BeEmpty())
			}
			Expect(all.of("ServiceAccount")).To(HaveLen(1))
		}),
		Entry("without aggregation", `rbac: {aggregate: false}`, func(all objects, _ *corev1.Container) {
			names := []string{}
			for _, role := range all.of("ClusterRole") {
				names = append(names, role.GetName())
				for label := range role.GetLabels() {
					Expect(label).NotTo(ContainSubstring("/aggregate-to-"), role.GetName())
				}
			}
			Expect(names).To(ContainElements("op-subaccount-operator-subaccount-viewer-role.ops", "op-subaccount-operator-subaccount-editor-role.ops", "op-subaccount-operator-subaccount-admin-role.ops"))
		}),
		Entry("with a network policy", `
networkPolicy: {enabled: true, extraEgress: [{ports: [{port: 3128}]}]}`, func(all objects, _ *corev1.Container) {
			Expect(all.field("NetworkPolicy", "spec", "podSelector", "matchLabels")).To(HaveKeyWithValue("app.kubernetes.io/instance", "op"))
			Expect(all.field("NetworkPolicy", "spec", "egress")).To(HaveLen(3))
		}),
		Entry("without admission policies", `admissionPolicy: {enabled: false}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("ValidatingAdmissionPolicy")).To(BeEmpty())
			Expect(all.of("ValidatingAdmissionPolicyBinding")).To(BeEmpty())
		}),
		Entry("with other denied domains in Secret metadata", `admissionPolicy: {refusedSecretDomains: [example.com, argoproj.io]}`, func(all objects, _ *corev1.Container) {
			Expect(all.variable("domains")).To(Equal(`["example.com","argoproj.io"]`))
		}),
		Entry("without denied domains in Secret metadata", `admissionPolicy: {refusedSecretDomains: []}`, func(all objects, _ *corev1.Container) {
			Expect(all.of("ValidatingAdmissionPolicy")).To(HaveLen(1))
			Expect(all.writers()).NotTo(BeEmpty())
		}),
		Entry("with extra status writers and the adoption policy", `
admissionPolicy: {extraStatusWriters: ["system:serviceaccount:velero:velero"]}
adoptionPolicy: {enabled: true}`, func(all objects, _ *corev1.Container) {
			Expect(all.writers()).To(Equal(`["system:serviceaccount:ops:op-subaccount-operator-manager","system:serviceaccount:velero:velero"]`))
			Expect(all.of("ValidatingAdmissionPolicy")).To(HaveLen(3))
			for _, binding := range all.of("ValidatingAdmissionPolicyBinding") {
				Expect(binding.Object["spec"]).To(HaveKeyWithValue("policyName", binding.GetName()))
			}
		}),
		Entry("with other names and an existing ServiceAccount", `
fullnameOverride: plivo.eu
nameOverride: plivo-operator
commonLabels: {team: platform}
serviceAccount: {create: false, name: own}`, func(all objects, _ *corev1.Container) {
			Expect(all.deployment().Name).To(Equal("plivo-eu-controller-manager"))
			Expect(all.deployment().Labels).To(And(HaveKeyWithValue("team", "platform"), HaveKeyWithValue("app.kubernetes.io/name", "plivo-operator")))
			for _, crd := range all.of("CustomResourceDefinition") {
				Expect(crd.GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/name", "subaccount-operator"), "the docs select CRDs by this label")
			}
			Expect(all.of("ServiceAccount")).To(BeEmpty())
			Expect(all.pod().Spec.ServiceAccountName).To(Equal("own"))
			Expect(all.writers()).To(Equal(`["system:serviceaccount:ops:own"]`))
			Expect(all.rolesOnSecrets()).NotTo(BeEmpty())
		}),
		Entry("with all pod settings", `
image: {repository: registry.example.com/plivo, digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", tag: ignored, pullPolicy: Always}
imagePullSecrets: [{name: registry}]
serviceAccount: {annotations: {example.com/role: plivo}}
podAnnotations: {example.com/scrape: "no"}
podLabels: {team: platform}
resources: {limits: {memory: 1Gi}}
terminationGracePeriodSeconds: 120
priorityClassName: system-cluster-critical
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}, {name: SSL_CERT_FILE, value: /ca/ca.crt}]
extraVolumes: [{name: ca, configMap: {name: ca}}]
extraVolumeMounts: [{name: ca, mountPath: /ca, readOnly: true}]
deploymentAnnotations: {reloader.stakater.com/auto: "true"}
metricsService: {annotations: {example.com/scrape: "yes"}}
logLevel: 2
logFormat: console
livenessProbe: {initialDelaySeconds: 30, timeoutSeconds: 5}
readinessProbe: {failureThreshold: 6}
dnsPolicy: None
dnsConfig: {nameservers: [10.0.0.53]}
hostAliases: [{ip: 10.0.0.1, hostnames: [api.plivo.com]}]
initContainers:
- name: wait
  image: registry.example.com/wait
  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
commonLabels: {team: platform}`, func(all objects, manager *corev1.Container) {
			Expect(manager.Image).To(Equal("registry.example.com/plivo@sha256:0000000000000000000000000000000000000000000000000000000000000000"))
			Expect(manager.ImagePullPolicy).To(Equal(corev1.PullAlways))
			Expect(manager.Env).To(ContainElement(corev1.EnvVar{Name: "HTTPS_PROXY", Value: "http://proxy:3128"}))
			Expect(manager.VolumeMounts).To(HaveLen(1))
			Expect(manager.Resources.Limits.Memory().String()).To(Equal("1Gi"))
			pod := all.pod()
			Expect(pod.Labels).To(HaveKeyWithValue("team", "platform"))
			Expect(pod.Annotations).To(HaveKey("example.com/scrape"))
			Expect(pod.Spec.Volumes).To(HaveLen(1))
			Expect(pod.Spec.ImagePullSecrets).To(HaveLen(1))
			Expect(pod.Spec.TerminationGracePeriodSeconds).To(HaveValue(BeEquivalentTo(120)))
			Expect(pod.Spec.PriorityClassName).To(Equal("system-cluster-critical"))
			Expect(pod.Spec.NodeSelector).NotTo(BeEmpty())
			Expect(pod.Spec.Tolerations).NotTo(BeEmpty())
			Expect(pod.Spec.Affinity.NodeAffinity).NotTo(BeNil())
			Expect(pod.Spec.TopologySpreadConstraints).To(HaveLen(1))
			Expect(all.deployment().Annotations).To(HaveKeyWithValue("reloader.stakater.com/auto", "true"))
			Expect(all.of("Service")[0].GetAnnotations()).To(HaveKeyWithValue("example.com/scrape", "yes"))
			Expect(manager.Args).To(ContainElements("--zap-log-level=2", "--zap-encoder=console"))
			Expect(manager.LivenessProbe).To(HaveField("InitialDelaySeconds", BeEquivalentTo(30)))
			Expect(manager.LivenessProbe).To(HaveField("PeriodSeconds", BeEquivalentTo(20)), "the default of a timing that is not set")
			Expect(manager.LivenessProbe.TimeoutSeconds).To(BeEquivalentTo(5))
			Expect(manager.ReadinessProbe.FailureThreshold).To(BeEquivalentTo(6))
			Expect(pod.Spec.DNSPolicy).To(Equal(corev1.DNSNone))
			Expect(pod.Spec.DNSConfig.Nameservers).To(ConsistOf("10.0.0.53"))
			Expect(pod.Spec.HostAliases).To(HaveLen(1))
			Expect(pod.Spec.InitContainers).To(HaveLen(1))
		}),
	)

	It("with namespaceOverride render the same as a release in that namespace", func() {
		const values = `
defaultAccount: {create: true, credentialsSecretName: plivo}
metricsCertificate: {certManager: {enabled: true}}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true}
dashboards: {enabled: true}
networkPolicy: {enabled: true}
podDisruptionBudget: {enabled: true}`
		there, err := template("op", "ops", values)
		Expect(err).NotTo(HaveOccurred())
		moved, err := template("op", "other", values+"\nnamespaceOverride: ops")
		Expect(err).NotTo(HaveOccurred())
		Expect(moved).To(Equal(there))
	})

	It("can be names that look like numbers, like release and namespace", func() {
		text, err := template("123", "456", `
nameOverride: "1"
watchNamespaces: ["456"]
serviceAccount: {name: "7"}
image: {repository: "12", tag: "34"}
defaultAccount: {create: true, name: "8", credentialsSecretName: "1e3", adoption: [{namespace: "9", authIDs: ["*"]}]}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true}
dashboards: {enabled: true}
networkPolicy: {enabled: true}
podDisruptionBudget: {enabled: true}
adoptionPolicy: {enabled: true}`)
		Expect(err).NotTo(HaveOccurred())
		parse(text).expectAccepted()
	})
})
