#!/usr/bin/env bash
# Finds or makes the control plane that tests and the demo run against, and prints the folder it is in as its last
# line. Everything else goes to stderr. Usage: assets.sh [BINARY ...]; without names: all four.
#
# In this order: KUBEBUILDER_ASSETS, the cache outside the clone, setup-envtest's download (a few seconds' try; it has
# no kube-controller-manager), a build from source through the Go module proxy.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
export GOFLAGS=-mod=readonly

want=("$@")
[ ${#want[@]} -gt 0 ] || want=(etcd kube-apiserver kubectl kube-controller-manager)

say() { printf '%s\n' "$*" >&2; }
has() { # has DIR NAME...: whether all of them are there
	local dir=$1 name
	shift
	for name; do [ -x "$dir/$name" ] || return 1; done
}

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
minor=${minor%%.*}
os=$(go env GOOS) arch=$(go env GOARCH)
case $os in
darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
dir=$cache/subaccount-operator/devplane/$version-$os-$arch

# A folder that somebody names comes first; what it lacks is added beside links to what it has.
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	if has "$KUBEBUILDER_ASSETS" "${want[@]}"; then
		echo "$KUBEBUILDER_ASSETS"
		exit 0
	fi
	given=$(cd "$KUBEBUILDER_ASSETS" && pwd)
	dir=$dir-with-$(printf %s "$given" | cksum | cut -d' ' -f1)
	mkdir -p "$dir"
	for name in "${want[@]}"; do
		[ ! -x "$given/$name" ] || ln -sf "$given/$name" "$dir/$name"
	done
fi
mkdir -p "$dir"

if has "$dir" "${want[@]}"; then
	echo "$dir"
	exit 0
fi

# Whoever comes second waits and finds the work done; a lock whose holder died is taken over.
lock=$dir.lock
while ! mkdir "$lock" 2>/dev/null; do
	holder=$(cat "$lock/pid" 2>/dev/null || true)
	if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
		rm -rf "$lock"
		continue
	fi
	say "waiting for another build of the control plane (pid ${holder:-unknown}; if there is none, remove $lock)"
	sleep 5
done
echo $$ >"$lock/pid"
tmp=$(mktemp -d "$dir/.build.XXXXXX")
trap 'rm -rf "$tmp" "$lock"' EXIT

take() { # take FILE NAME: a finished binary appears under its name at once or not at all
	chmod 755 "$1"
	mv -f "$1" "$dir/$2"
}

download() {
	local path name
	say "looking for a ready-made control plane $version (setup-envtest, at most 20 s) ..."
	GOBIN=$tmp go -C "$here/../tools" build -o "$tmp/setup-envtest" sigs.k8s.io/controller-runtime/tools/setup-envtest >&2 || return 1
	path=$(timeout 20 "$tmp/setup-envtest" use "1.$minor" --bin-dir "$tmp/envtest" -p path 2>/dev/null) || return 1
	for name in etcd kube-apiserver kubectl; do
		[ -x "$path/$name" ] || return 1
	done
	for name in etcd kube-apiserver kubectl; do take "$path/$name" "$name"; done
	say "  found it."
}

build() { # build NAME: from source
	local name=$1 expected package module=$here ldflags="-s -w"
	case $name in
	etcd) package=go.etcd.io/etcd/server/v3 module=$here/etcd expected="1 to 2 minutes" ;;
	kube-apiserver) package=k8s.io/kubernetes/cmd/$name expected="8 to 15 minutes on two cores" ;;
	kube-controller-manager) package=k8s.io/kubernetes/cmd/$name expected="3 to 6 minutes on two cores" ;;
	kubectl) package=k8s.io/kubernetes/cmd/$name expected="1 to 2 minutes" ;;
	*) say "no such part of the control plane: $name" && return 1 ;;
	esac
	if [ "$name" != etcd ]; then
		ldflags="$ldflags -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
	fi
	say "building $name from source: $expected with a cold Go cache, seconds with a warm one; kept in $dir"
	local started=$SECONDS pid
	(cd "$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$tmp/$name" "$package") >&2 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		if [ $(((SECONDS - started) % 30)) -eq 0 ] && kill -0 $pid 2>/dev/null; then
			say "  still building $name, $((SECONDS - started)) s"
		fi
	done
	wait $pid || { say "  $name did not build"; return 1; }
	take "$tmp/$name" "$name"
	say "  $name built in $((SECONDS - started)) s"
}

if ! has "$dir" etcd kube-apiserver kubectl && [ -z "${KUBEBUILDER_ASSETS:-}" ]; then
	download || say "  none to be had from here; building from source instead."
fi
for name in "${want[@]}"; do
	[ -x "$dir/$name" ] || build "$name"
done
echo "$dir"
