// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// These specs cover requirements of common cluster policies and tools.
var _ = Describe("The chart", func() {
	render := func(values string) objects {
		GinkgoHelper()
		text, err := template("op", "ops", values)
		Expect(err).NotTo(HaveOccurred())
		return parse(text)
	}
	endpoint := func(all objects) map[string]any {
		GinkgoHelper()
		endpoints := all.field("ServiceMonitor", "spec", "endpoints").([]any)
		Expect(endpoints).To(HaveLen(1))
		return endpoints[0].(map[string]any)
	}

	It("merges labels and annotations of several values", func() {
		all := render(`
commonLabels: {release: common, app.kubernetes.io/name: other, app.kubernetes.io/component: other, grafana_dashboard: "0", helm.sh/chart: other}
podLabels: {app.kubernetes.io/name: other, team: a}
podAnnotations: {kubectl.kubernetes.io/default-container: sidecar}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboards: {enabled: true}
networkPolicy: {enabled: true}
podDisruptionBudget: {enabled: true}
adoptionPolicy: {enabled: true}
defaultAccount: {create: true, credentialsSecretName: plivo, labels: {release: account}}`)
		for kind, release := range map[string]string{"ServiceMonitor": "prometheus", "PrometheusRule": "prometheus", "Account": "account", "Service": "common"} {
			Expect(all.of(kind)[0].GetLabels()).To(HaveKeyWithValue("release", release), kind)
		}
		for _, o := range all {
			Expect(o.GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/name", "subaccount-operator"), o.GetName())
			Expect(o.GetLabels()).To(HaveKeyWithValue("helm.sh/chart", "subaccount-operator-0.0.0-dev"), o.GetName())
		}
		Expect(all.of("Service")[0].GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/component", "metrics"))
		Expect(all.of("ConfigMap")[0].GetLabels()).To(HaveKeyWithValue("grafana_dashboard", "1"))
		Expect(all.pod().Labels).To(HaveKeyWithValue("team", "a")) // all.pod checks the selector's labels
		Expect(all.pod().Annotations).To(HaveKeyWithValue("kubectl.kubernetes.io/default-container", "sidecar"))
	})

	DescribeTable("uses the image registry of a parent chart", func(values, image string) {
		Expect(render(values).pod().Spec.Containers[0].Image).To(Equal(image))
	},
		Entry("instead of the default", `global: {imageRegistry: mirror.example.com}`, "mirror.example.com/subaccount-operator/subaccount-operator:v0.0.0-dev"),
		Entry("with a port and a path", `global: {imageRegistry: "mirror.example.com:5000/cache/"}`, "mirror.example.com:5000/cache/subaccount-operator/subaccount-operator:v0.0.0-dev"),
		Entry("for a repository without a registry", `{global: {imageRegistry: mirror.example.com}, image: {repository: plivo/operator, tag: v1}}`, "mirror.example.com/plivo/operator:v1"),
		Entry("for a repository of one word", `{global: {imageRegistry: mirror.example.com}, image: {repository: operator, tag: v1}}`, "mirror.example.com/operator:v1"),
		Entry("instead of localhost", `{global: {imageRegistry: mirror.example.com}, image: {repository: localhost/operator, tag: v1}}`, "mirror.example.com/operator:v1"),
		Entry("unless it is null", `global: {imageRegistry: null, imagePullSecrets: null, storageClass: fast}`, "ghcr.io/subaccount-operator/subaccount-operator:v0.0.0-dev"),
	)

	It("adds the pull Secrets of a parent chart without duplicates", func() {
		all := render(`{global: {imagePullSecrets: [one, {name: two}]}, imagePullSecrets: [{name: two}, {name: three}]}`)
		Expect(all.pod().Spec.ImagePullSecrets).To(ConsistOf(
			corev1.LocalObjectReference{Name: "one"}, corev1.LocalObjectReference{Name: "two"}, corev1.LocalObjectReference{Name: "three"}))
	})

	It("sets no user ID on OpenShift", func() {
		pod := render(`{openshift: {enabled: true}, podSecurityContext: {fsGroup: 1, runAsUser: 1, runAsNonRoot: true}}`).pod()
		Expect(pod.Spec.SecurityContext).To(Equal(&corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}))
		Expect(pod.Spec.Containers[0].SecurityContext).To(Equal(render("").pod().Spec.Containers[0].SecurityContext))
	})

	It("uses the port values in flags, probes, Service and network policy", func() {
		all := render(`{ports: {metrics: 9443, health: 9081}, networkPolicy: {enabled: true}}`)
		manager := all.pod().Spec.Containers[0]
		Expect(manager.Args).To(ContainElements("--metrics-bind-address=:9443", "--health-probe-bind-address=:9081"))
		ports := map[string]int32{}
		for _, p := range manager.Ports {
			ports[p.Name] = p.ContainerPort
		}
		Expect(ports).To(Equal(map[string]int32{"metrics": 9443, "health": 9081}))
		Expect(manager.LivenessProbe.HTTPGet.Port).To(Equal(intstr.FromString("health")))
		Expect(manager.ReadinessProbe.HTTPGet.Port).To(Equal(intstr.FromString("health")))
		Expect(all.field("Service", "spec", "ports")).To(ConsistOf(HaveKeyWithValue("targetPort", "metrics")))
		Expect(all.field("NetworkPolicy", "spec", "ingress")).To(ConsistOf(HaveKeyWithValue("ports", ConsistOf(HaveKeyWithValue("port", BeEquivalentTo(9443))))))
	})

	It("keeps the old replica during an upgrade until the new one is ready", func() {
		d := render("").deployment()
		unavailable, err := intstr.GetScaledValueFromIntOrPercent(d.Spec.Strategy.RollingUpdate.MaxUnavailable, int(*d.Spec.Replicas), false)
		Expect(err).NotTo(HaveOccurred())
		Expect(unavailable).To(BeZero())
		Expect(d.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path).To(Equal("/readyz"))
	})

	It("passes log flags in extraArgs while the values are empty", func() {
		Expect(render("extraArgs: [--zap-log-level=debug]").deployment().Spec.Template.Spec.Containers[0].Args).To(ContainElement("--zap-log-level=debug"))
	})

	DescribeTable("rejects extraArgs with flags that the chart sets", func(argument, value string) {
		_, err := template("op", "ops", `{logLevel: 2, logFormat: json, extraArgs: ["`+argument+`"]}`)
		flag, _, _ := strings.Cut(argument, "=")
		Expect(err).To(MatchError(ContainSubstring("extraArgs: the chart sets --" + strings.TrimLeft(flag, "-") + " itself")))
		Expect(err).To(MatchError(ContainSubstring("use the value " + value)))
	},
		Entry(nil, "--health-probe-bind-address=:9081", "ports.health"),
		Entry(nil, "-health-probe-bind-address=:9081", "ports.health"),
		Entry(nil, "--metrics-bind-address=0", "ports.metrics"),
		Entry(nil, "--metrics-cert-path=/tls", "metricsCertificate"),
		Entry(nil, "--leader-elect=false", "leaderElection.enabled"),
		Entry(nil, "--leader-elect", "leaderElection.enabled"),
		Entry(nil, "--leader-election-id=x", "leaderElection.enabled"),
		Entry(nil, "--namespaces=a", "watchNamespaces"),
		Entry(nil, "--account-selector=a=b", "accountSelector"),
		Entry(nil, "--plivo-base-url=https://plivo.example.com", "plivoBaseURL"),
		Entry(nil, "--zap-log-level=debug", "logLevel"),
		Entry(nil, "--zap-encoder=console", "logFormat"),
	)

	It("rejects another operator namespace than the release's", func() {
		_, err := template("op", "ops", `extraArgs: [--operator-namespace=other]`)
		Expect(err).To(MatchError(ContainSubstring("--operator-namespace is the release's namespace")))
	})

	It("passes endpoint settings to the ServiceMonitor", func() {
		e := endpoint(render(`
serviceMonitor:
  enabled: true
  scrapeTimeout: 20s
  authorization: {credentials: {name: scraper, key: token}}
  tlsConfig: {serverName: metrics, ca: {configMap: {name: ca, key: ca.crt}}}
  relabelings: [{targetLabel: cluster, replacement: east}]
  metricRelabelings: [{action: drop, sourceLabels: [__name__], regex: go_.*}]`))
		Expect(e).To(HaveKeyWithValue("scrapeTimeout", "20s"))
		Expect(e).To(HaveKeyWithValue("authorization", map[string]any{"credentials": map[string]any{"name": "scraper", "key": "token"}}))
		Expect(e).NotTo(HaveKey("bearerTokenFile"))
		Expect(e).To(HaveKeyWithValue("tlsConfig", Not(HaveKey("insecureSkipVerify"))))
		Expect(e).To(HaveKeyWithValue("relabelings", HaveLen(1)))
		Expect(e).To(HaveKeyWithValue("metricRelabelings", HaveLen(1)))
		Expect(endpoint(render(`serviceMonitor: {enabled: true}`))).To(And(HaveKey("bearerTokenFile"), HaveKeyWithValue("tlsConfig", HaveKey("insecureSkipVerify"))))
	})

	DescribeTable("configures a metrics certificate that Prometheus verifies", func(values, secret string) {
		all := render("serviceMonitor: {enabled: true}\n" + values)
		pod := all.pod()
		Expect(pod.Spec.Containers[0].Args).To(ContainElement("--metrics-cert-path=" + pod.Spec.Containers[0].VolumeMounts[0].MountPath))
		Expect(pod.Spec.Volumes).To(HaveLen(1))
		Expect(pod.Spec.Volumes[0].Secret.SecretName).To(Equal(secret))
		Expect(endpoint(all)).To(HaveKeyWithValue("tlsConfig", map[string]any{
			"serverName": "op-subaccount-operator-metrics.ops.svc",
			"ca":         map[string]any{"secret": map[string]any{"name": secret, "key": "ca.crt"}},
		}))
		for _, certificate := range all.of("Certificate") {
			Expect(certificate.Object["spec"]).To(HaveKeyWithValue("secretName", secret))
			Expect(certificate.Object["spec"]).To(HaveKeyWithValue("dnsNames", ContainElement("op-subaccount-operator-metrics.ops.svc")))
		}
	},
		Entry("from a Secret", `metricsCertificate: {secretName: tls}`, "tls"),
		Entry("from cert-manager", `metricsCertificate: {certManager: {enabled: true, issuerRef: {kind: ClusterIssuer, name: ca}}}`, "op-subaccount-operator-metrics-certificate"),
		Entry("from an Issuer of the release", `metricsCertificate: {secretName: tls, certManager: {enabled: true}}`, "tls"),
	)

	It("allows DNS egress to the ports 53 and 5353", func() {
		Expect(render(`networkPolicy: {enabled: true}`).field("NetworkPolicy", "spec", "egress")).To(ContainElement(HaveKeyWithValue("ports", ConsistOf(
			map[string]any{"port": 53.0, "protocol": "UDP"}, map[string]any{"port": 53.0, "protocol": "TCP"},
			map[string]any{"port": 5353.0, "protocol": "UDP"}, map[string]any{"port": 5353.0, "protocol": "TCP"}))))
	})
})
