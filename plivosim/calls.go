// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"net/http"
	"slices"
	"time"
)

// Op is the operation of a request.
type Op string

// The five calls of the Subaccount API. OpOther is everything else: the neighbours,
// unknown paths and wrong methods.
const (
	OpCreate Op = "create"
	OpGet    Op = "get"
	OpList   Op = "list"
	OpUpdate Op = "update"
	OpDelete Op = "delete"
	OpOther  Op = "other"
)

// operations has one entry for each call of the Subaccount API. The routes, the faults
// and the help text derive from it: a new call needs an entry here and its handler.
var operations = []struct {
	op     Op
	method string
	onItem bool // the path has a subaccount
	handle func(s *Server, q *request, f *injected) response
}{
	{OpCreate, http.MethodPost, false, func(s *Server, q *request, _ *injected) response { return s.create(q) }},
	{OpGet, http.MethodGet, true, func(s *Server, q *request, _ *injected) response { return s.get(q) }},
	{OpList, http.MethodGet, false, (*Server).list},
	{OpUpdate, http.MethodPost, true, func(s *Server, q *request, _ *injected) response { return s.update(q) }},
	{OpDelete, http.MethodDelete, true, func(s *Server, q *request, _ *injected) response { return s.delete(q) }},
}

// allOps returns every Op, OpOther included.
func allOps() []Op {
	var all []Op
	for _, o := range operations {
		all = append(all, o.op)
	}
	return append(all, OpOther)
}

// isOnItem says whether the path of an Op has a subaccount.
func isOnItem(op Op) bool {
	for _, o := range operations {
		if o.op == op {
			return o.onItem
		}
	}
	return false
}

// OpOf returns the Op of a request to the API with this method and path.
func OpOf(method, path string) Op { return routeOf(method, path).op }

// maxCalls is how many calls the server keeps. It drops the older half above that.
const maxCalls = 100_000

// Call is one request to the API as the server saw it. It never contains a token.
type Call struct {
	// Seq counts from 1. ResetCalls does not reset it.
	Seq    int       `json:"seq"`
	At     time.Time `json:"at"`
	Op     Op        `json:"op"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	// Account is the main account in the path.
	Account string `json:"account,omitempty"`
	// AuthID is the subaccount in the path; for a create that was carried out, the new
	// one.
	AuthID string `json:"auth_id,omitempty"`
	// Status is the status of the response; 0 if there was none.
	Status int `json:"status"`
	// Committed says whether the requested change was made, independently of the
	// response. A late change sets it when it happens.
	Committed bool `json:"committed"`
	// InFlight is how many calls of this main account were in progress when this one
	// arrived, including this one.
	InFlight int `json:"in_flight"`
	// Fault is the fault that struck, in its compact form.
	Fault string `json:"fault,omitempty"`
	// Name, Enabled and Cascade are the arguments of the request; empty or nil if
	// omitted.
	Name    string `json:"name,omitempty"`
	Enabled *bool  `json:"enabled,omitempty"`
	Cascade *bool  `json:"cascade,omitempty"`
	// Limit and Offset are the arguments of a list, or their defaults.
	Limit  int `json:"limit,omitempty"`
	Offset int `json:"offset,omitempty"`
}

func (s *Server) record(q *request) *Call {
	s.lastCall++
	s.inFlight[q.accountID]++
	c := &Call{
		InFlight: s.inFlight[q.accountID],
		Seq:      s.lastCall, At: s.now(), Op: q.op, Method: q.http.Method, Path: q.http.URL.Path,
		Account: q.accountID, AuthID: q.id, Enabled: q.args.enabled, Cascade: q.args.cascade,
	}
	if q.args.name != nil {
		c.Name = *q.args.name
	}
	if q.op == OpList {
		p, _ := pageOf(q.http.URL.Query())
		c.Limit, c.Offset = p.limit, p.offset
	}
	if len(s.calls) >= maxCalls {
		s.calls = slices.Delete(s.calls, 0, maxCalls/2)
	}
	s.calls = append(s.calls, c)
	return c
}

// Calls returns the requests since the start or the last ResetCalls, oldest first. If
// there are more than 100,000, it returns at least the newest 50,000.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.calls))
	for i, c := range s.calls {
		calls[i] = *c
	}
	return calls
}

// ResetCalls deletes the recorded requests.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}
