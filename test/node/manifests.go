// SPDX-License-Identifier: Apache-2.0

//go:build node

package node

// The index of extraEnv[1] is the address of the API server.
const values = `
image: {repository: ` + operatorRepository + `, tag: ` + operatorVersion + `}
plivoBaseURL: <url>
defaultAccount: {create: true, credentialsSecretName: plivo-main}
extraEnv:
- {name: SSL_CERT_FILE, value: /ca/ca.crt}
- {name: KUBERNETES_SERVICE_HOST, value: ""}
- {name: KUBERNETES_SERVICE_PORT, value: "<port>"}
extraVolumes: [{name: ca, configMap: {name: plivo-ca}}]
extraVolumeMounts: [{name: ca, mountPath: /ca}]
`

const tenant = `
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Subaccount
metadata: {namespace: team-a, name: plivo}
spec:
  name: Team A
  enabled: true
  secret: {name: plivo, keys: {authID: PLIVO_AUTH_ID, authToken: PLIVO_AUTH_TOKEN}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: team-a, name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: app
        image: ` + programImage + `
        envFrom: [{secretRef: {name: plivo}}]
        env:
        - {name: SSL_CERT_FILE, value: /ca/ca.crt}
        - {name: PLIVO_URL, valueFrom: {configMapKeyRef: {name: plivo-ca, key: url}}}
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        volumeMounts: [{name: ca, mountPath: /ca}]
      volumes: [{name: ca, configMap: {name: plivo-ca}}]
`
