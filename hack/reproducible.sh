#!/usr/bin/env bash
# Builds what is committed twice, in two folders and with two build caches, and compares the programs, and where buildah is
# there, the image's digests: the same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
build() { # in a clone of its own, at a path of its own
	git clone -q . "$1" && (
		cd "$1"
		[ -z "${2-}" ] || export GOCACHE=$2
		make --no-print-directory build
		if command -v buildah >/dev/null; then
			img=localhost/reproducible:$(basename "$1")
			make --no-print-directory docker-build CONTAINER_TOOL=buildah "IMG=$img" # for this platform: another one doubles the time
			buildah manifest inspect "$img" | grep "\"digest\"" | sort >bin/digests
			buildah manifest rm "$img" >/dev/null
		fi
	) >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; return 1; }
	(cd "$1/bin" && find . -type f | sort | xargs sha256sum) >"$tmp/sums-$(basename "$1")"
}
echo "==> building twice; the second time without a cache, some minutes"
build "$tmp/one"
build "$tmp/a/longer/path/two" "$tmp/cache"
diff "$tmp/sums-one" "$tmp/sums-two" || { echo "reproducible: two builds of one commit differ" >&2; exit 1; }
cat "$tmp/sums-one"
command -v buildah >/dev/null || echo "no buildah here: the image was not built"
echo "reproducible: both builds are the same"
