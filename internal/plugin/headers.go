// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Headers records facts about responses that only their headers and their timing show.
type Headers struct {
	Next http.RoundTripper

	mu      sync.Mutex
	latency []time.Duration
	skew    time.Duration // of the server's clock against this one's
	dated   bool
	limits  map[string]bool // names of headers about rate limits
}

// RoundTrip implements http.RoundTripper.
func (h *Headers) RoundTrip(req *http.Request) (*http.Response, error) {
	started := time.Now()
	resp, err := h.Next.RoundTrip(req)
	took := time.Since(started)
	if err != nil {
		return resp, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latency = append(h.latency, took)
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		h.skew, h.dated = at.Sub(started.Add(took/2)), true
	}
	for name := range resp.Header {
		if lower := strings.ToLower(name); strings.Contains(lower, "ratelimit") || strings.Contains(lower, "rate-limit") {
			if h.limits == nil {
				h.limits = map[string]bool{}
			}
			h.limits[name] = true
		}
	}
	return resp, nil
}

// Latency returns the median time to a response's header.
func (h *Headers) Latency() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.latency) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(h.latency))[len(h.latency)/2]
}

// Skew returns how far the server's clock is ahead of this one's; false if no response had
// a date. A date has no fractions of a second.
func (h *Headers) Skew() (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.skew, h.dated
}

// RateLimits returns the names of headers about rate limits.
func (h *Headers) RateLimits() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.limits))
}
