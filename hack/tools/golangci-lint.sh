#!/usr/bin/env bash
# Builds golangci-lint with kube-api-linter in it, at the versions that go.mod beside this file pins, and prints its
# path as the last line; everything else goes to stderr. It is kept in the cache folder outside the clone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export GOFLAGS=-mod=readonly

case $(go env GOOS) in
darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
# The linter reads what the compiler wrote, so it must be built by the same Go as well.
key=$({ cat go.mod go.sum && go env GOVERSION; } | git hash-object --stdin | cut -c1-16)
dir=$cache/subaccount-operator/tools
linter=$dir/golangci-lint-$key
if [ ! -x "$linter" ]; then
	mkdir -p "$dir"
	tmp=$(mktemp -d "$dir/.build.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	echo "==> building golangci-lint with kube-api-linter: about 4 minutes on two cores, once; kept as $linter" >&2
	started=$SECONDS
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$tmp/golangci-lint" sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter >&2 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		if [ $(((SECONDS - started) % 30)) -eq 0 ]; then echo "  still building, $((SECONDS - started)) s" >&2; fi
	done
	wait $pid
	mv -f "$tmp/golangci-lint" "$linter"
	echo "  built in $((SECONDS - started)) s" >&2
fi
echo "$linter"
