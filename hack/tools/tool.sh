#!/usr/bin/env bash
# Builds one of the tools that a go.mod in or below this folder pins, and prints its path as the last line; everything
# else goes to stderr. It is kept in the cache folder outside the clone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export GOFLAGS=-mod=readonly

name=$1
module=.
flags=()
case $name in
golangci-lint) # with kube-api-linter in it
	package=sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter ;;
crd-ref-docs)
	module=crd-ref-docs package=github.com/elastic/crd-ref-docs ;;
helm)
	module=helm package=helm.sh/helm/v4/cmd/helm ;;
prometheus | promtool) # without the ways to find targets in clouds, which are most of it
	module=prometheus package=github.com/prometheus/prometheus/cmd/$name flags=(-tags remove_all_sd) ;;
*)
	echo "tool.sh: no tool $name" >&2
	exit 2
	;;
esac
cd "$module"

case $(go env GOOS) in
darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
# The linter reads what the compiler wrote, so it must be built by the same Go as well.
key=$({ cat go.mod go.sum && go env GOVERSION; } | git hash-object --stdin | cut -c1-16)
dir=$cache/subaccount-operator/tools
tool=$dir/$name-$key
if [ ! -x "$tool" ]; then
	mkdir -p "$dir"
	tmp=$(mktemp -d "$dir/.build.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	echo "==> building $name: up to 5 minutes on two cores, once; kept as $tool" >&2
	started=$SECONDS
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" ${flags[@]+"${flags[@]}"} -o "$tmp/$name" "$package" >&2 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		if [ $(((SECONDS - started) % 30)) -eq 0 ]; then echo "  still building, $((SECONDS - started)) s" >&2; fi
	done
	wait $pid
	mv -f "$tmp/$name" "$tool"
	echo "  built in $((SECONDS - started)) s" >&2
fi
echo "$tool"
