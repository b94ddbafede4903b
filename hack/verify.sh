#!/usr/bin/env bash
# Checks that what is generated is what the sources generate, that the code is formatted and that every go.mod is tidy.
# It works on a copy: the working tree may be dirty and is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

problems=()
stale() { problems+=("$*"); }
files() { # what git knows or would add, as far as it is there
	git ls-files -z -co --exclude-standard --deduplicate -- "$@" | while IFS= read -r -d '' f; do
		if [ -f "$f" ]; then printf '%s\0' "$f"; fi
	done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
generated=(':(glob)**/zz_generated.*.go' docs/spec/api.md config/crd/bases config/rbac/role.yaml charts/subaccount-operator/files)

echo "==> generated files"
mkdir "$tmp/tree"
files . | tar --null -T - -cf - | tar -xf - -C "$tmp/tree"
# Without them first: a file that nothing generates any more is stale too.
files "${generated[@]}" | (cd "$tmp/tree" && xargs -0 rm -f)
make --no-print-directory -C "$tmp/tree" generate manifests chart >"$tmp/log" 2>&1 || {
	cat "$tmp/log" >&2
	echo "generating failed" >&2
	exit 1
}
# The copy is no repository: what was generated there is found by name.
{
	files "${generated[@]}" | tr '\0' '\n'
	(cd "$tmp/tree" && find . \( -name 'zz_generated.*.go' -o -path ./docs/spec/api.md -o -path './config/crd/bases/*' \
		-o -path ./config/rbac/role.yaml -o -path './charts/subaccount-operator/files/*' \) -type f | sed 's|^\./||')
} | sort -u >"$tmp/names"
while IFS= read -r f; do
	if [ ! -e "$tmp/tree/$f" ]; then
		stale "$f: nothing generates it any more; remove it"
	elif [ ! -e "$f" ]; then
		stale "$f: is not there; run: make generate manifests chart"
	elif ! diff -u --label "$f" --label "$f as generated" "$f" "$tmp/tree/$f"; then
		stale "$f: is stale; run: make generate manifests chart"
	fi
done <"$tmp/names"

echo "==> gofmt"
while IFS= read -r f; do
	[ -z "$f" ] || stale "$f: is not formatted; run: make fmt"
done < <(files '*.go' | xargs -0 gofmt -l)

echo "==> go.mod and go.sum: some minutes the first time, for modules to be fetched"
while IFS= read -r -d '' f; do
	dir=$(dirname "$f")
	if ! (cd "$dir" && go mod tidy -diff); then
		stale "$f: is not tidy; run: (cd $dir && go mod tidy)"
	fi
done < <(files '*go.mod')

if [ ${#problems[@]} -gt 0 ]; then
	printf '\nverify: this is not current:\n' >&2
	printf '  %s\n' "${problems[@]}" >&2
	exit 1
fi
echo "verify: everything is current"
