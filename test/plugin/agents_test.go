package plugin

import (
	"net/http"
	"sync"
)

// userAgents remembers who has called Plivo.
type userAgents struct {
	mu   sync.Mutex
	last string
}

func (a *userAgents) note(next http.Handler) http.Handler {
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
