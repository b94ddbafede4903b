package faultwalk

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
	defaultPairs = 1000 // about 20 s on two free cores
)

// sample is the part of all pairs of faults that one test run walks.
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

// of returns the pairs of the sample, in an order that depends on the seed. Each
// pair gets its rank from the seed and its own text alone, so that a seed selects
// the same pairs if the walk finds a few pairs more or fewer, or finds them in
// another order (docs/decisions/004-the-fault-walk.md).
func (s sample) of(pairs []schedule) []schedule {
	type ranked struct {
		rank uint64
		pair schedule
	}
	order := make([]ranked, len(pairs))
	for i, p := range pairs {
		h := fnv.New64a()
		_, _ = io.WriteString(h, p.String())
		order[i] = ranked{rand.NewPCG(s.seed, h.Sum64()).Uint64(), p}
	}
	slices.SortFunc(order, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	n := len(order)
	if !s.all {
		n = min(n, s.size)
	}
	chosen := make([]schedule, n)
	for i := range chosen {
		chosen[i] = order[i].pair
	}
	return chosen
}

// String returns the environment that repeats the sample.
func (s sample) String() string {
	if s.all {
		return envPairs + "=" + allPairs
	}
	return fmt.Sprintf("%s=%d %s=%d", envPairs, s.size, envSeed, s.seed)
}
