#!/usr/bin/env bash
# Checks that generated files are up to date, that the code is formatted and that every go.mod is tidy. It generates in a
# copy, so that it does not change the working tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

problems=()
stale() { problems+=("$*"); }
files() { # files PATHSPEC...: prints the existing files that git tracks or would add
	git ls-files -z -co --exclude-standard --deduplicate -- "$@" | while IFS= read -r -d '' f; do
		if [ -f "$f" ]; then printf '%s\0' "$f"; fi
	done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
generated=(':(glob)**/zz_generated.*.go' api/v1alpha1/applyconfiguration docs/spec/api.md config/crd/bases config/rbac/role.yaml charts/subaccount-operator/files charts/subaccount-operator/README.md)

echo "==> generated files"
mkdir "$tmp/tree"
files . | tar --null -T - -cf - | tar -xf - -C "$tmp/tree"
# Remove them first, to find files that nothing generates any more.
files "${generated[@]}" | (cd "$tmp/tree" && xargs -0 rm -f)
make --no-print-directory -C "$tmp/tree" generate manifests chart >"$tmp/log" 2>&1 || {
	cat "$tmp/log" >&2
	echo "generating failed" >&2
	exit 1
}
# The copy is not a git repository: find the generated files by name.
{
	files "${generated[@]}" | tr '\0' '\n'
	(cd "$tmp/tree" && find . \( -name 'zz_generated.*.go' -o -path './api/v1alpha1/applyconfiguration/*' -o -path ./docs/spec/api.md -o -path './config/crd/bases/*' \
		-o -path ./config/rbac/role.yaml -o -path './charts/subaccount-operator/files/*' -o -path ./charts/subaccount-operator/README.md \) -type f | sed 's|^\./||')
} | sort -u >"$tmp/names"
while IFS= read -r f; do
	if [ ! -e "$tmp/tree/$f" ]; then
		stale "$f: nothing generates it any more; remove it"
	elif [ ! -e "$f" ]; then
		stale "$f: does not exist; run: make generate manifests chart"
	elif ! diff -u --label "$f" --label "$f as generated" "$f" "$tmp/tree/$f"; then
		stale "$f: is stale; run: make generate manifests chart"
	fi
done <"$tmp/names"

echo "==> gofmt"
while IFS= read -r f; do
	[ -z "$f" ] || stale "$f: is not formatted; run: make fmt"
done < <(files '*.go' | xargs -0 gofmt -l)

echo "==> go.mod and go.sum: the first time some minutes, to download modules"
while IFS= read -r -d '' f; do
	dir=$(dirname "$f")
	if ! (cd "$dir" && go mod tidy -diff); then
		stale "$f: is not tidy; run: (cd $dir && go mod tidy)"
	fi
done < <(files '*go.mod')

if [ ${#problems[@]} -gt 0 ]; then
	printf '\nverify: not up to date:\n' >&2
	printf '  %s\n' "${problems[@]}" >&2
	exit 1
fi
echo "verify: everything is up to date"
