package plivosim

import (
	"maps"
	"slices"
)

// What follows changes things as a person in Plivo's console would: no
// credentials, no rate limit, no faults, no Call.

// Subaccounts returns a main account's subaccounts in the order of lists; nil
// for an unknown account.
func (s *Server) Subaccounts(account string) []Subaccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[account]
	if !ok {
		return nil
	}
	subs := make([]Subaccount, len(a.rows))
	for i, sub := range a.rows {
		subs[i] = *sub
	}
	return subs
}

// Subaccount returns one subaccount of a main account.
func (s *Server) Subaccount(account, id string) (Subaccount, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[account]; ok {
		if sub, ok := a.byID[id]; ok {
			return *sub, true
		}
	}
	return Subaccount{}, false
}

// Add makes a subaccount. It panics on an account that does not exist.
func (s *Server) Add(account, name string, enabled bool) Subaccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newSubaccount(s.mustAccount(account), name, enabled)
}

// Edit changes a subaccount: its name, whether it is enabled, its token, its
// dates. Modified is today unless change says otherwise; the AuthID stays.
// change must not call the Server. False: there is no such subaccount.
func (s *Server) Edit(account, id string, change func(*Subaccount)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[account]
	if !ok || a.byID[id] == nil {
		return false
	}
	sub := *a.byID[id]
	sub.Modified = s.today()
	change(&sub)
	sub.AuthID = id
	s.tokens[sub.AuthToken] = struct{}{}
	a.put(sub)
	return true
}

// Remove lets subaccounts go, all at once, as if somebody else had deleted them.
// It returns whether all were there.
func (s *Server) Remove(account string, ids ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, all := s.accounts[account], true
	for _, id := range ids {
		if a == nil || a.byID[id] == nil {
			all = false
			continue
		}
		a.remove(id, false)
	}
	return all
}

// AddAccount makes up a main account.
func (s *Server) AddAccount() (id, token string) {
	s.mu.Lock()
	id, token = s.newID("MA"), s.newToken()
	s.mu.Unlock()
	s.SetToken(id, token)
	return id, token
}

// SetToken gives a main account another token; the old one is refused from now
// on. An account that does not exist is added.
func (s *Server) SetToken(id, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts[id]
	if !ok {
		a = &account{id: id, byID: map[string]*Subaccount{}}
		s.accounts[id] = a
	}
	a.token = token
	s.tokens[token] = struct{}{}
}

// Tokens returns every token that there ever was, of main accounts and of
// subaccounts, those that are gone too: what a search for leaks looks for.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.tokens))
}

// Neighbours returns a main account's Applications, Endpoints and Numbers,
// with those of its subaccounts, oldest first.
func (s *Server) Neighbours(account string) []Neighbour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[account]; ok {
		return slices.Clone(a.neighbours)
	}
	return nil
}

// AddNeighbour makes an Application, an Endpoint or a Number, and returns it
// with its ID. It panics on an account or a kind that does not exist.
func (s *Server) AddNeighbour(account string, n Neighbour) Neighbour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.Kind.valid() {
		panic("plivosim: no such kind of neighbour: " + string(n.Kind))
	}
	return s.addNeighbour(s.mustAccount(account), n)
}

// mustAccount is for callers that made the account themselves: an empty result
// in its place would let their tests pass for the wrong reason.
func (s *Server) mustAccount(id string) *account {
	a, ok := s.accounts[id]
	if !ok {
		panic("plivosim: no such main account: " + id)
	}
	return a
}
