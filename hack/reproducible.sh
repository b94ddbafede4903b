#!/usr/bin/env bash
# Checks that builds are reproducible: builds the commit twice, in two folders and with two build caches, and compares the
# programs and, if buildah is installed, the digests of the images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
build() { # build FOLDER [GOCACHE]: builds in a new clone
	git clone -q . "$1" && (
		cd "$1"
		[ -z "${2-}" ] || export GOCACHE=$2
		make --no-print-directory build
		if command -v buildah >/dev/null; then
			img=localhost/reproducible:$(basename "$1")
			for program in manager plivo-sim; do
				make --no-print-directory docker-build CONTAINER_TOOL=buildah "PROGRAM=$program" "IMG=$img" # for one platform, to save time
				buildah manifest inspect "$img" | grep "\"digest\"" | sort >>bin/digests
				buildah manifest rm "$img" >/dev/null
			done
		fi
	) >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; return 1; }
	(cd "$1/bin" && find . -type f | sort | xargs sha256sum) >"$tmp/sums-$(basename "$1")"
}
echo "==> building twice, the second time without a cache: some minutes"
build "$tmp/one"
build "$tmp/a/longer/path/two" "$tmp/cache"
diff "$tmp/sums-one" "$tmp/sums-two" || { echo "reproducible: two builds of one commit differ" >&2; exit 1; }
cat "$tmp/sums-one"
command -v buildah >/dev/null || echo "buildah is not installed: skipped the images"
echo "reproducible: both builds are equal"
