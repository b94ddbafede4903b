#!/usr/bin/env bash
# Runs the tests. `make test` calls it after `make ready`, which provides the programs that the tests need.
#
#   WHAT   packages to test; default: all, in three suites
#   FOCUS  a regular expression; only specs and tests whose name matches it run
#   PROCS  parallel processes of a Ginkgo suite
#
# A package is a Ginkgo suite if its tests import Ginkgo. Everything else runs with `go test`.
# Go caches the results of the packages in CACHED.
# `hack/test.sh unit` runs the packages whose tests need no control plane.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WHAT=${WHAT:-} FOCUS=${FOCUS:-} PROCS=${PROCS:-3}
# The limit ends a test that hangs. `make ready` builds and downloads before.
LIMIT=60m

# The tests run more programs than there are cores. As batch processes they do not interrupt each other for each message; chrt is a
# part of util-linux. A lazier garbage collector costs some 100 MB for each API server. In single runs, each saved a tenth of the
# processor time.
chrt --batch --pid 0 $$ 2>/dev/null || true
export GOGC=200

testImports() { # testImports PACKAGE: prints the imports of its tests
	go list -f '{{range .TestImports}}{{println .}}{{end}}{{range .XTestImports}}{{println .}}{{end}}' "$1"
}

ginkgo() { # ginkgo PACKAGE...
	go tool ginkgo run --procs="$PROCS" --timeout="$LIMIT" --vet=off --ldflags="-s -w" --show-node-events=false --no-color ${FOCUS:+--focus="$FOCUS"} "$@"
}

gotest() { # gotest [FLAG...] PACKAGE...
	go test -vet=off -timeout "$LIMIT" ${FOCUS:+-run "$FOCUS"} "$@"
}

if [ -n "$WHAT" ]; then
	failed=0 output=$(mktemp)
	trap 'rm -f "$output"' EXIT
	packages=$(go list $WHAT) # an assignment, because set -e does not see a failure in the list of a loop
	for package in $packages; do
		if testImports "$package" | grep -q '^github.com/onsi/ginkgo/v2$'; then
			ginkgo "./${package#*/*/*/}"
		else
			gotest -count=1 "$package"
		fi 2>&1 | tee -a "$output" || failed=1
	done
	if [ $failed = 0 ] && ! grep -v 'no tests to run' "$output" | grep -qE '^ok[[:space:]]|^Ran [1-9][0-9]* of'; then
		echo "No test of $WHAT ran${FOCUS:+ with FOCUS=$FOCUS}" >&2
		failed=1
	fi
	exit $failed
elif [ -n "$FOCUS" ]; then
	echo "FOCUS needs WHAT, for example: make test WHAT=./test/integration FOCUS=adopts" >&2
	exit 1
fi

# The tests of these packages read files in this process only, so Go's cache knows all that they read.
CACHED='./cmd/... ./internal/... ./plivosim/... ./hack/... ./examples/... ./test/upgrade'
# These of them test properties with other random values each time.
RANDOM_VALUES='./internal/plan ./internal/plivo ./internal/plugin'

cached=$(go list $CACHED)
others=$(go list ./... | grep -vxF "$cached")

if [ "${1:-}" = unit ]; then
	gotest $CACHED
	# A control plane is started through test/controlplane. The fault walk starts one for TestConformance only.
	others=$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' $others | grep -v /test/controlplane | cut -d' ' -f1)
	gotest -count=1 $others
	gotest -count=1 -short -run '^Test(Faults|Stray|Sample|NewSample|Waiting)' ./test/faultinjection
	exit
fi

packages() { # the longest first, so that none of them runs alone at the end; go test ignores the repetitions
	local failed=0
	gotest -count=1 -p 3 ./test/install ./test/docs ./test/monitoring ./test/plugin ./test/controlplane \
		$(printf '%s\n' "$others" | grep -vE '/test/(faultinjection|integration)$') $RANDOM_VALUES || failed=1
	gotest $CACHED || failed=1
	return $failed
}

logs=$(mktemp -d)
background=
trap '[ -z "$background" ] || kill -- -"$background" 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM

suite() { # suite NAME COMMAND...: runs a suite; its lines begin with its name
	local name=$1 started=$SECONDS result=passed
	shift
	"$@" 2>&1 | sed -u "s|^|[$name] |" | tee "$logs/$name" || result=FAILED
	printf '  %-12s %6d s  %s\n' "$name" $((SECONDS - started)) "$result" >>"$logs/durations"
	[ $result = passed ]
}

# Six processes wait much of the time: two suites at a time, and three packages of one, occupy two cores. With -m, the suites in the
# background have a process group, which the trap ends.
set -m
{
	failed=0
	suite integration ginkgo ./test/integration || failed=1
	suite faults gotest -count=1 -v ./test/faultinjection || failed=1 # the last, because it never waits
	exit $failed
} &
background=$!
set +m
failed=0
suite packages packages || failed=1
wait $background || failed=1
background=
printf '\nDurations, two suites at a time:\n'
cat "$logs/durations"
if [ $failed != 0 ]; then
	# At the end of the output, because a CI system may show only that.
	printf '\nFailures:\n'
	grep -h -A 14 -E '\[(FAILED|PANICKED|TIMEDOUT|INTERRUPTED)\]|--- FAIL|_test\.go:[0-9]+: |panic:|\[(build|setup) failed\]' "$logs"/* | head -n 200
fi
exit $failed
