{{- /* Checks that the schema cannot express. */}}
{{- define "subaccount-operator.checks" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicaCount: more than one replica needs leaderElection.enabled, because only one process may serve a main account" }}
{{- end }}
{{- if .Values.simulator.enabled }}
{{- if .Values.plivoBaseURL }}
{{- fail "simulator.enabled: the manager calls either the simulator or plivoBaseURL; set one of them" }}
{{- end }}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "simulator.enabled: needs replicaCount 1, because each Pod has a simulator with other subaccounts" }}
{{- end }}
{{- if .Values.defaultAccount.credentialsSecretName }}
{{- fail "simulator.enabled: the chart creates the credentials of the simulator; do not set defaultAccount.credentialsSecretName" }}
{{- end }}
{{- end }}
{{- $values := dict
      "health-probe-bind-address" "ports.health"
      "metrics-bind-address" "ports.metrics"
      "metrics-cert-path" "metricsCertificate"
      "metrics-cert-name" "metricsCertificate"
      "metrics-cert-key" "metricsCertificate"
      "leader-elect" "leaderElection.enabled"
      "leader-election-id" "leaderElection.enabled; the name of the lease follows from accountSelector and watchNamespaces"
      "namespaces" "watchNamespaces"
      "account-selector" "accountSelector"
      "plivo-base-url" "plivoBaseURL" }}
{{- /* The chart sets these two only if the values are set. */}}
{{- if .Values.logLevel }}{{ $_ := set $values "zap-log-level" "logLevel" }}{{ end }}
{{- if .Values.logFormat }}{{ $_ := set $values "zap-encoder" "logFormat" }}{{ end }}
{{- range .Values.extraArgs }}
{{- $flag := regexReplaceAll "=.*" (regexReplaceAll "^--?" . "") "" }}
{{- with get $values $flag }}
{{- fail (printf "extraArgs: the chart sets --%s itself, and other objects of the chart may depend on it; use the value %s" $flag .) }}
{{- end }}
{{- if eq $flag "operator-namespace" }}
{{- fail "extraArgs: --operator-namespace is the release's namespace, where the chart's Roles are; install the release there, or use the value namespaceOverride" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A status write must pass the policies of all releases in a cluster, so each policy must list the managers of all others.
       The first writer of a policy is the manager of its installation. Without a cluster (helm template), lookup is empty. */}}
{{- define "subaccount-operator.checkStatusWriters" -}}
{{- $writers := include "subaccount-operator.statusWriters" . | fromYamlArray }}
{{- $faults := list }}
{{- range $policy := (lookup "admissionregistration.k8s.io/v1" "ValidatingAdmissionPolicy" "" "").items }}
{{- $annotations := $policy.metadata.annotations | default dict }}
{{- $release := list (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") }}
{{- if and (ne (toJson $release) (toJson (list $.Release.Namespace $.Release.Name))) (contains "subaccounts/status" (toJson $policy.spec.matchConstraints)) }}
{{- range $variable := $policy.spec.variables }}
{{- if eq $variable.name "writers" }}
{{- $others := fromJsonArray $variable.expression }}
{{- if not (has (first $writers) $others) }}
{{- $faults = append $faults (printf "The policy %s of another installation would refuse this release's status writes: first upgrade that installation with %s in its admissionPolicy.extraStatusWriters." $policy.metadata.name (first $writers)) }}
{{- end }}
{{- if and $.Values.admissionPolicy.enabled (not (has (first $others) $writers)) }}
{{- $faults = append $faults (printf "This release's policy would refuse the status writes of another installation: add %s to admissionPolicy.extraStatusWriters." (first $others)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if $faults }}
{{- fail (join " " $faults) }}
{{- end }}
{{- end }}
