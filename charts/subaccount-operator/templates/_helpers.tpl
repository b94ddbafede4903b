{{- define "subaccount-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 44 | trimSuffix "-" -}}
{{- end }}

{{- /* Without dots, which the name of a Service must not have. Truncated so that the name with the longest suffix, -controller-manager, fits into the 63 characters of a label. */}}
{{- define "subaccount-operator.fullname" -}}
{{- $name := include "subaccount-operator.name" . -}}
{{- $full := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) -}}
{{- /* Older API servers refuse a Service whose name begins with a digit. */ -}}
{{- ternary (printf "op-%s" $full) $full (regexMatch "^[0-9]" $full) | replace "." "-" | trunc 44 | trimSuffix "-" -}}
{{- end }}

{{- define "subaccount-operator.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{- /* A name that is unique in the cluster: (list $ "role"). The name of a namespace has no dot. */}}
{{- define "subaccount-operator.clusterName" -}}
{{- $root := first . -}}
{{- printf "%s-%s.%s" (include "subaccount-operator.fullname" $root) (last .) (include "subaccount-operator.namespace" $root) -}}
{{- end }}

{{- define "subaccount-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (printf "%s-manager" (include "subaccount-operator.fullname" .)) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "subaccount-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "subaccount-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "subaccount-operator.podLabels" -}}
{{ include "subaccount-operator.selectorLabels" . }}
app.kubernetes.io/component: manager
{{- end }}

{{- /* Merges several maps into YAML; the first map with a key wins. Kustomize and Flux refuse duplicate keys. */}}
{{- define "subaccount-operator.merged" -}}
{{- $merged := dict -}}
{{- range $map := reverse . -}}
{{- range $key, $value := $map -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end }}

{{- /* The labels of an object: (list $) or, with further ones, (list $ $more …). */}}
{{- define "subaccount-operator.labels" -}}
{{- $root := first . -}}
{{- $release := fromYaml (include "subaccount-operator.selectorLabels" $root) -}}
{{- $_ := set $release "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $release "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $release "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- include "subaccount-operator.merged" (concat (list $release) (rest .) (list $root.Values.commonLabels)) -}}
{{- end }}

{{- /* The metadata of a namespaced object with the name <fullname>-<suffix>: (list $ "suffix"), followed by
       further labels as above. */}}
{{- define "subaccount-operator.metadata" -}}
{{- $root := first . -}}
{{- $labels := slice . 2 -}}
name: {{ include "subaccount-operator.fullname" $root }}-{{ index . 1 }}
namespace: {{ include "subaccount-operator.namespace" $root | quote }}
labels:
  {{- include "subaccount-operator.labels" (concat (list $root) $labels) | nindent 2 }}
{{- end }}

{{- /* An image, as (list $ .Values.image). global.imageRegistry replaces the registry of its repository, which is the first part
       of that if it has a dot or a colon. */}}
{{- define "subaccount-operator.image" -}}
{{- $root := first . -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository -}}
{{- with dig "imageRegistry" "" ($root.Values.global | default dict) -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- with $image -}}
{{- $repository }}{{ .digest | empty | ternary (printf ":%s" (.tag | default $root.Chart.AppVersion)) (printf "@%s" .digest) -}}
{{- end -}}
{{- end }}

{{- /* imagePullSecrets and global.imagePullSecrets without duplicates. The latter may be plain names. */}}
{{- define "subaccount-operator.imagePullSecrets" -}}
{{- $all := list -}}
{{- range concat .Values.imagePullSecrets (dig "imagePullSecrets" list (.Values.global | default dict) | default list) -}}
{{- $all = append $all (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- uniq $all | toYaml -}}
{{- end }}

{{- /* The Secret with the certificate of the metrics endpoint. If empty, the manager creates a self-signed one. */}}
{{- define "subaccount-operator.metricsCertificate" -}}
{{- with .Values.metricsCertificate -}}
{{- .secretName | default (ternary (printf "%s-metrics-certificate" (include "subaccount-operator.fullname" $)) "" .certManager.enabled) -}}
{{- end -}}
{{- end }}

{{- define "subaccount-operator.metricsHost" -}}
{{- include "subaccount-operator.fullname" . }}-metrics.{{ include "subaccount-operator.namespace" . }}.svc
{{- end }}

{{- /* The users that may write the status. The manager must be first: see checkStatusWriters. */}}
{{- define "subaccount-operator.statusWriters" -}}
{{- $manager := printf "system:serviceaccount:%s:%s" (include "subaccount-operator.namespace" .) (include "subaccount-operator.serviceAccountName" .) -}}
{{- prepend .Values.admissionPolicy.extraStatusWriters $manager | toYaml -}}
{{- end }}

{{- /* The name of the Lease, also for its Role. Releases that serve different Accounts or namespaces have different Leases. */}}
{{- define "subaccount-operator.lease" -}}
subaccount-operator.plivo.subaccount-operator.dev
{{- with .Values }}
{{- if or .accountSelector .watchNamespaces -}}
-{{ list .accountSelector (sortAlpha .watchNamespaces) | toJson | sha256sum | trunc 8 }}
{{- end }}
{{- end }}
{{- end }}
