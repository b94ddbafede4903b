// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"maps"
	"slices"
)

// The functions of this file act like a person in Plivo's console: without
// credentials, rate limit and faults, and without recording a Call.

// Subaccounts returns a main account's subaccounts in the order of lists, or nil if the
// account does not exist.
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

// Add creates a subaccount. It panics if the account does not exist.
func (s *Server) Add(account, name string, enabled bool) Subaccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newSubaccount(s.mustAccount(account), name, enabled)
}

// Edit changes any field of a subaccount but its AuthID. It sets Modified to today
// before it calls change. change MUST NOT call the Server. Edit returns false if there
// is no such subaccount.
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

// Remove deletes subaccounts at once. It returns whether all of them existed.
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

// AddAccount creates a main account.
func (s *Server) AddAccount() (id, token string) {
	s.mu.Lock()
	id, token = s.newID("MA"), s.newToken()
	s.mu.Unlock()
	s.SetToken(id, token)
	return id, token
}

// SetToken changes the token of a main account: the server refuses the old one from now
// on. It adds an account that does not exist.
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

// Tokens returns every token that has existed, of main accounts and of subaccounts,
// deleted ones included. Tests search logs for them.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.tokens))
}

// Neighbours returns the Applications, Endpoints and Numbers of a main account and its
// subaccounts, oldest first.
func (s *Server) Neighbours(account string) []Neighbour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[account]; ok {
		return slices.Clone(a.neighbours)
	}
	return nil
}

// AddNeighbour creates an Application, an Endpoint or a Number and returns it with its
// ID. It panics if the account or the kind does not exist.
func (s *Server) AddNeighbour(account string, n Neighbour) Neighbour {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.Kind.valid() {
		panic("plivosim: no such kind of neighbour: " + string(n.Kind))
	}
	return s.addNeighbour(s.mustAccount(account), n)
}

// mustAccount panics instead of returning an error: tests with a wrong account must not
// pass by accident.
func (s *Server) mustAccount(id string) *account {
	a, ok := s.accounts[id]
	if !ok {
		panic("plivosim: no such main account: " + id)
	}
	return a
}
