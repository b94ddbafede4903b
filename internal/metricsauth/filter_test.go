// SPDX-License-Identifier: Apache-2.0

package metricsauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// server simulates the reviews of the API server.
type server struct {
	mu      sync.Mutex
	allowed map[string]bool // by token; others are refused
	err     error
	held    chan struct{} // if not nil, reviews of refused tokens wait until it is closed
	reviews map[string]int
	started chan string
}

func newServer(allowed ...string) *server {
	s := &server{allowed: map[string]bool{}, reviews: map[string]int{}, started: make(chan string, 1000)}
	for _, token := range allowed {
		s.allowed[token] = true
	}
	return s
}

func (s *server) review(_ context.Context, token, _, _ string) (int, error) {
	s.mu.Lock()
	s.reviews[token]++
	allowed, err, held := s.allowed[token], s.err, s.held
	s.mu.Unlock()
	s.started <- token
	switch {
	case err != nil:
		return http.StatusInternalServerError, err
	case allowed:
		return http.StatusOK, nil
	}
	if held != nil {
		<-held
	}
	return http.StatusUnauthorized, nil
}

func (s *server) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, count := range s.reviews {
		n += count
	}
	return n
}

func request(method, path, authorization string) *http.Request {
	req := httptest.NewRequest(method, path, http.NoBody)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return req
}

func expect(t *testing.T, g *gate, authorization string, want int) {
	t.Helper()
	if got, _ := g.status(request(http.MethodGet, "/metrics", authorization)); got != want {
		t.Errorf("%q: got %d, want %d", authorization, got, want)
	}
}

func TestGate_RequestWithoutToken_IsRefusedWithoutReview(t *testing.T) {
	s := newServer()
	g := newGate(s.review, time.Now)
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"} {
		expect(t, g, authorization, http.StatusUnauthorized)
	}
	if n := s.total(); n != 0 {
		t.Errorf("got %d reviews, want none", n)
	}
}

func TestGate_ReviewedRequest_IsReviewedAgainAfterTTL(t *testing.T) {
	now := time.Now()
	s := newServer("good")
	g := newGate(s.review, func() time.Time { return now })
	for range 3 {
		expect(t, g, "Bearer good", http.StatusOK)
		expect(t, g, "Bearer bad", http.StatusUnauthorized)
	}
	if s.reviews["good"] != 1 || s.reviews["bad"] != 1 {
		t.Errorf("got reviews %v, want one for each token", s.reviews)
	}
	s.allowed = map[string]bool{"bad": true}
	now = now.Add(reviewTTL + 1)
	expect(t, g, "Bearer good", http.StatusUnauthorized)
	expect(t, g, "Bearer bad", http.StatusOK)
}

func TestGate_AllowedRequest_AllowsNoOtherVerbOrPath(t *testing.T) {
	s := newServer("good")
	g := newGate(s.review, time.Now)
	expect(t, g, "Bearer good", http.StatusOK)
	for _, req := range []*http.Request{request(http.MethodPost, "/metrics", "Bearer good"), request(http.MethodGet, "/debug", "Bearer good")} {
		if _, err := g.status(req); err != nil {
			t.Error(err)
		}
	}
	if s.reviews["good"] != 3 {
		t.Errorf("got %d reviews, want 3", s.reviews["good"])
	}
}

func TestGate_FailedReview_IsNotCached(t *testing.T) {
	s := newServer("good")
	g := newGate(s.review, time.Now)
	s.err = errors.New("no API server")
	expect(t, g, "Bearer good", http.StatusInternalServerError)
	s.err = nil
	expect(t, g, "Bearer good", http.StatusOK)
}

func TestGate_FloodOfUnknownTokens_DelaysNoKnownToken(t *testing.T) {
	now := time.Now()
	s := newServer("good")
	g := newGate(s.review, func() time.Time { return now })
	expect(t, g, "Bearer good", http.StatusOK)
	<-s.started
	s.held = make(chan struct{})

	statuses := make(chan int, 2*unknownWaiting)
	for i := range cap(statuses) {
		go func() {
			status, _ := g.status(request(http.MethodGet, "/metrics", fmt.Sprint("Bearer bad", i)))
			statuses <- status
		}()
	}
	for range unknownWaiting { // those beyond the limit
		if status := <-statuses; status != http.StatusTooManyRequests {
			t.Errorf("got %d, want 429", status)
		}
	}
	for range unknownAtOnce {
		<-s.started
	}
	if n := s.total(); n != 1+unknownAtOnce {
		t.Errorf("got %d reviews of unknown tokens, want %d", n-1, unknownAtOnce)
	}
	now = now.Add(reviewTTL + 1) // the review is due
	expect(t, g, "Bearer good", http.StatusOK)
	close(s.held)
	for range unknownWaiting {
		if status := <-statuses; status != http.StatusUnauthorized {
			t.Errorf("got %d, want 401", status)
		}
	}
}

func TestMemory_ManyRefusedTokens_EvictNoAcceptedOne(t *testing.T) {
	m := newMemory(time.Now)
	good := keyOf("good", "get", "/metrics")
	m.add("good", good, http.StatusOK)
	for i := range 2 * refusedSize {
		token := fmt.Sprint(i)
		m.add(token, keyOf(token, "get", "/metrics"), http.StatusUnauthorized)
	}
	if status, ok := m.reviewed(good); !ok || status != http.StatusOK || !m.isKnown("good") {
		t.Error("got no review of the accepted token, want it kept")
	}
	if n := len(m.refused.Keys()); n > refusedSize {
		t.Errorf("got %d refused reviews, want at most %d", n, refusedSize)
	}
}
