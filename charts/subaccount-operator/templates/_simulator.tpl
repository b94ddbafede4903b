{{- /* A simulated Plivo in the manager's Pod: the same container, Secret and Account as config/simulator, which test/install
       compares. Its credentials are constants, because they open nothing outside the Pod. */}}
{{- define "subaccount-operator.simulator" -}}
{{- $root := first . -}}
{{- with $root.Values.simulator -}}
- name: simulator
  image: {{ include "subaccount-operator.image" (list $root .image) | quote }}
  imagePullPolicy: {{ .image.pullPolicy }}
  args:
  - --listen={{ include "subaccount-operator.simulatorAddress" $root }}
  - --account=MASIMULATORSIMULATOR:token-of-the-simulator
  {{- with .extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  resources:
    requests:
      cpu: 10m
      memory: 16Mi
    limits:
      memory: 256Mi
  securityContext:
    {{- toYaml (index $ 1) | nindent 4 }}
{{- end }}
{{- end }}

{{- /* On loopback only, because the control endpoint needs no credentials. */}}
{{- define "subaccount-operator.simulatorAddress" -}}
127.0.0.1:8089
{{- end }}

{{- define "subaccount-operator.simulatorSecret" -}}
{{ include "subaccount-operator.fullname" . }}-simulator
{{- end }}
