// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// The environment variables that choose the pairs.
const (
	envPairs = "FAULT_PAIRS" // a number, or allPairs; defaults to defaultPairs
	envSeed  = "FAULT_SEED"  // a number; defaults to today's date in UTC, such as 20261125

	allPairs     = "all"
	defaultPairs = 200

	// pairsForEachOnServer is how many pairs run in memory for each single injection that
	// also runs on a real API server, which takes about ten times as long.
	pairsForEachOnServer = 5
)

// sample is the part of all schedules that one test run covers.
type sample struct {
	all  bool
	size int
	seed uint64
}

// newSample reads the sample from the environment.
func newSample(getenv func(string) string, now time.Time) (sample, error) {
	var s sample
	var err error
	seed := cmp.Or(getenv(envSeed), now.UTC().Format("20060102"))
	if s.seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
		return sample{}, fmt.Errorf("%s=%q: want a number", envSeed, seed)
	}
	size := cmp.Or(getenv(envPairs), strconv.Itoa(defaultPairs))
	if s.all = size == allPairs; s.all {
		return s, nil
	}
	if s.size, err = strconv.Atoi(size); err != nil || s.size < 0 {
		return sample{}, fmt.Errorf("%s=%q: want a number of pairs or %q", envPairs, size, allPairs)
	}
	return s, nil
}

// of returns n of the schedules, or all of them, in an order that depends on the
// seed. The rank of a schedule depends only on the seed and on its own text. Therefore a
// seed selects the same schedules if the walk finds a few more or fewer, or in another
// order (docs/decisions/004-the-fault-walk.md).
func (s sample) of(schedules []schedule, n int) []schedule {
	rank := make(map[string]uint64, len(schedules))
	for _, x := range schedules {
		h := fnv.New64a()
		_, _ = io.WriteString(h, x.String())
		rank[x.String()] = rand.NewPCG(s.seed, h.Sum64()).Uint64()
	}
	chosen := slices.Clone(schedules)
	slices.SortFunc(chosen, func(a, b schedule) int { return cmp.Compare(rank[a.String()], rank[b.String()]) })
	if s.all {
		return chosen
	}
	return chosen[:min(n, len(chosen))]
}

// String returns the environment that repeats the sample.
func (s sample) String() string {
	if s.all {
		return envPairs + "=" + allPairs
	}
	return fmt.Sprintf("%s=%d %s=%d", envPairs, s.size, envSeed, s.seed)
}
