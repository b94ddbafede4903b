{{- define "subaccount-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 44 | trimSuffix "-" -}}
{{- end }}

{{- /* Short enough for the longest of what is appended to it, -controller-manager, within the 63 characters of a label. */}}
{{- define "subaccount-operator.fullname" -}}
{{- $name := include "subaccount-operator.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 44 | trimSuffix "-" -}}
{{- end }}

{{- /* A name that no release in another namespace has: (list $ "role"). No namespace's name has a dot. */}}
{{- define "subaccount-operator.clusterName" -}}
{{- $root := first . -}}
{{- printf "%s-%s.%s" (include "subaccount-operator.fullname" $root) (last .) $root.Release.Namespace -}}
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

{{- define "subaccount-operator.labels" -}}
{{ include "subaccount-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* All that is in the release's namespace is called <fullname>-<what>: (list $ "what"). */}}
{{- define "subaccount-operator.metadata" -}}
{{- $root := first . -}}
name: {{ include "subaccount-operator.fullname" $root }}-{{ last . }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "subaccount-operator.labels" $root | nindent 2 }}
{{- end }}
