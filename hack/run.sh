#!/usr/bin/env bash
# Runs the manager from source against the cluster of the current kubeconfig, with the simulator in place of Plivo.
# `make run` calls it. It installs the CRDs, a namespace, the simulator's credentials and the Account "default".
# Ctrl-C ends both programs; what was installed stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

KUBECTL=${KUBECTL:-kubectl} PORT=${PORT:-8090}
namespace=subaccount-operator-system label=plivo.subaccount-operator.dev/make-run
main_id=MASIMULATORSIMULATOR main_token=token-of-the-simulator

context=$("$KUBECTL" config current-context)
echo "==> cluster: $context"
# A manager with the simulator behind it would take every recorded subaccount for a missing one.
if [ -n "$("$KUBECTL" get deployment --namespace "$namespace" --ignore-not-found --output name)" ]; then
	echo "make run: an operator is installed in $namespace of $context; use another cluster" >&2
	exit 1
fi
"$KUBECTL" apply --server-side --kustomize config/crd
"$KUBECTL" wait --for=condition=Established --timeout=60s crd/accounts.plivo.subaccount-operator.dev crd/subaccounts.plivo.subaccount-operator.dev
if [ -n "$("$KUBECTL" get accounts.plivo.subaccount-operator.dev --selector "!$label" --output name)" ]; then
	echo "make run: $context has Accounts that make run did not create; use another cluster" >&2
	exit 1
fi
"$KUBECTL" apply --server-side --filename - <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
---
apiVersion: v1
kind: Secret
metadata:
  namespace: $namespace
  name: plivo-simulator
stringData:
  auth_id: $main_id
  auth_token: $main_token
---
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Account
metadata:
  name: default
  labels:
    $label: "true"
spec:
  credentialsSecretRef:
    name: plivo-simulator
  namespaceSelector: {}
END

simulator=
trap 'if [ -n "$simulator" ]; then kill "$simulator" 2>/dev/null || true; fi' EXIT
mkdir -p bin/run
go build -o bin/run/ ./cmd/plivo-sim && go build -o bin/run/manager ./cmd
bin/run/plivo-sim --listen "127.0.0.1:$PORT" --account "$main_id:$main_token" &
simulator=$!
echo "==> kubectl apply -f config/samples/subaccount.yaml creates a subaccount at the simulator; Ctrl-C ends the operator"
bin/run/manager --plivo-base-url "http://127.0.0.1:$PORT" --operator-namespace "$namespace" --leader-elect=false \
	--metrics-bind-address=0 --health-probe-bind-address=0 --zap-devel "$@"
