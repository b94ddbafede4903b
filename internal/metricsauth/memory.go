// SPDX-License-Identifier: Apache-2.0

package metricsauth

import (
	"crypto/sha256"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
)

const (
	// reviewTTL is how long a change of rights takes to have an effect, at most.
	reviewTTL = 10 * time.Second
	// knownTTL is how long a token counts as known without a scrape.
	knownTTL = time.Hour

	allowedSize, refusedSize, knownSize = 64, 512, 64
)

// memory keeps reviews for reviewTTL, and for knownTTL the tokens that a review has
// accepted. Refused reviews have a cache of their own, so that no number of invalid
// tokens evicts an accepted one. memory keeps only digests of tokens.
type memory struct {
	allowed, refused, known *cache.LRUExpireCache
}

type key [sha256.Size]byte

func keyOf(parts ...string) key {
	h := sha256.New()
	for _, part := range parts {
		digest := sha256.Sum256([]byte(part))
		_, _ = h.Write(digest[:]) // never fails
	}
	return key(h.Sum(nil))
}

type clock func() time.Time

// Now implements cache.Clock.
func (c clock) Now() time.Time { return c() }

func newMemory(now clock) *memory {
	return &memory{
		allowed: cache.NewLRUExpireCacheWithClock(allowedSize, now),
		refused: cache.NewLRUExpireCacheWithClock(refusedSize, now),
		known:   cache.NewLRUExpireCacheWithClock(knownSize, now),
	}
}

// reviewed returns the status of a review that is at most reviewTTL old.
func (m *memory) reviewed(k key) (status int, ok bool) {
	if _, ok := m.allowed.Get(k); ok {
		return http.StatusOK, true
	}
	if status, ok := m.refused.Get(k); ok {
		return status.(int), true
	}
	return 0, false
}

func (m *memory) isKnown(token string) bool {
	_, ok := m.known.Get(keyOf(token))
	return ok
}

func (m *memory) add(token string, k key, status int) {
	if status != http.StatusOK {
		m.known.Remove(keyOf(token))
		m.refused.Add(k, status, reviewTTL)
		return
	}
	m.allowed.Add(k, status, reviewTTL)
	m.known.Add(keyOf(token), true, knownTTL)
}
