// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"net/http"
	"sync"
)

// userAgents records the User-Agent header of the last call to Plivo.
type userAgents struct {
	mu   sync.Mutex
	last string
}

func (a *userAgents) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.last = r.UserAgent()
		a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (a *userAgents) latest() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}
