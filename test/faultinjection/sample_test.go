// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"slices"
	"testing"
	"time"
)

func noEnv(string) string { return "" }

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func somePairs() []schedule {
	var pairs []schedule
	for nth := range 10 {
		for i := range injections {
			pairs = append(pairs, schedule{{"create", 1, &injections[0]}, {"update", nth, &injections[i]}})
		}
	}
	return pairs
}

func texts(pairs []schedule) []string {
	all := make([]string, len(pairs))
	for i, p := range pairs {
		all[i] = p.String()
	}
	return all
}

func TestNewSample_NoEnvironment_SeedIsDateInUTC(t *testing.T) {
	evening := time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("", -3600))
	got, err := newSample(noEnv, evening)
	if want := (sample{size: defaultPairs, seed: 20261125}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestNewSample_Environment_SetsSizeAndSeed(t *testing.T) {
	got, err := newSample(env(map[string]string{envPairs: "7", envSeed: "3"}), time.Now())
	if want := (sample{size: 7, seed: 3}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = newSample(env(map[string]string{envPairs: "all"}), time.Now())
	if err != nil || !got.all {
		t.Errorf("got %+v, %v; want all", got, err)
	}
	for _, bad := range []map[string]string{{envPairs: "many"}, {envPairs: "-1"}, {envSeed: "today"}} {
		if _, err := newSample(env(bad), time.Now()); err == nil {
			t.Errorf("%v: got no error, want one", bad)
		}
	}
}

func TestSample_SameSeed_ReturnsSamePairs(t *testing.T) {
	pairs := somePairs()
	s := sample{size: 50, seed: 1}
	want := texts(s.of(pairs, s.size))
	slices.Reverse(pairs)
	if got := texts(s.of(pairs, s.size)); !slices.Equal(got, want) {
		t.Errorf("in another order: got %v, want %v", got, want)
	}
	pairs = slices.DeleteFunc(pairs, func(p schedule) bool { return p.String() == want[20] })
	if got := texts(s.of(pairs, s.size)); !slices.Equal(got[:49], slices.Delete(want, 20, 21)) {
		t.Errorf("with one pair fewer: got %v, want the other 49 of %v", got, want)
	}
}

func TestSample_OtherSeed_ReturnsOtherPairs(t *testing.T) {
	pairs := somePairs()
	if slices.Equal(texts(sample{size: 50, seed: 1}.of(pairs, 50)), texts(sample{size: 50, seed: 2}.of(pairs, 50))) {
		t.Error("got the same pairs for two seeds, want other pairs")
	}
	if n := len(sample{all: true}.of(pairs, 50)); n != len(pairs) {
		t.Errorf("with all: got %d pairs, want %d", n, len(pairs))
	}
}
