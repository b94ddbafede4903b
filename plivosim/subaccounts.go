// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// Subaccount is one subaccount at Plivo.
type Subaccount struct {
	AuthID    string `json:"auth_id"`
	AuthToken string `json:"auth_token"`
	Name      string `json:"name"`
	Enabled   bool   `json:"enabled"`
	// Created and Modified are dates, YYYY-MM-DD in UTC: the API has no time of day.
	// Modified is empty until the first update.
	Created  string `json:"created"`
	Modified string `json:"modified,omitempty"`
}

// account is one main account. The server replaces its subaccounts and never changes
// them in place, so that a copy of the rows is a snapshot.
type account struct {
	id     string
	token  string
	window window
	byID   map[string]*Subaccount
	// rows is in the order of lists: newest date first. Within a date the order is by
	// ID, which is random, because Plivo documents no order.
	rows       []*Subaccount
	neighbours []Neighbour
}

func listOrder(a, b *Subaccount) int {
	return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.AuthID, b.AuthID))
}

func (a *account) put(sub Subaccount) {
	a.drop(sub.AuthID)
	i, _ := slices.BinarySearchFunc(a.rows, &sub, listOrder)
	a.rows = slices.Insert(a.rows, i, &sub)
	a.byID[sub.AuthID] = &sub
}

func (a *account) drop(id string) {
	old, ok := a.byID[id]
	if !ok {
		return
	}
	i, _ := slices.BinarySearchFunc(a.rows, old, listOrder)
	a.rows = slices.Delete(a.rows, i, i+1)
	delete(a.byID, id)
}

// remove deletes a subaccount. With cascade it also deletes its neighbours; without, the
// main account gets them.
func (a *account) remove(id string, cascade bool) {
	a.drop(id)
	if cascade {
		a.neighbours = slices.DeleteFunc(a.neighbours, func(n Neighbour) bool { return n.Subaccount == id })
	}
	for i := range a.neighbours {
		if a.neighbours[i].Subaccount == id {
			a.neighbours[i].Subaccount = ""
		}
	}
}

func (s *Server) today() string { return s.now().UTC().Format(time.DateOnly) }

func (s *Server) newSubaccount(a *account, name string, enabled bool) Subaccount {
	sub := Subaccount{
		AuthID:    s.newID("SA"),
		AuthToken: s.newToken(),
		Name:      name,
		Enabled:   enabled,
		Created:   s.today(),
	}
	a.put(sub)
	return sub
}

// isSubaccount says whether the credentials belong to an enabled subaccount: they are
// valid, but not for this API.
func (s *Server) isSubaccount(id, token string) bool {
	for _, a := range s.accounts {
		if sub, ok := a.byID[id]; ok {
			return sub.Enabled && sub.AuthToken == token
		}
	}
	return false
}

// create is not idempotent, and two subaccounts can have the same name.
func (s *Server) create(q *request) response {
	if q.args.name == nil || *q.args.name == "" {
		return s.refuse(http.StatusBadRequest, "name is required")
	}
	enabled := q.args.enabled != nil && *q.args.enabled
	sub := s.newSubaccount(q.account, *q.args.name, enabled)
	q.call.AuthID, q.call.Committed = sub.AuthID, true
	return s.reply(http.StatusCreated, map[string]any{
		"auth_id": sub.AuthID, "auth_token": sub.AuthToken, "message": "created",
	})
}

func (s *Server) get(q *request) response {
	sub, ok := q.account.byID[q.id]
	if !ok {
		return s.refuse(http.StatusNotFound, "not found")
	}
	return s.reply(http.StatusOK, q.account.object(*sub))
}

func (s *Server) list(q *request, f *injected) response {
	p, err := pageOf(q.http.URL.Query())
	if err != nil {
		return s.refuse(http.StatusBadRequest, err.Error())
	}
	rows, shift, total := f.distort(q.account, p)
	objects := []map[string]any{}
	for _, sub := range rowsOf(p, rows, shift) {
		objects = append(objects, q.account.object(*sub))
	}
	return s.listing(q.http.URL, p, total, objects)
}

// update keeps the fields that the request omits.
func (s *Server) update(q *request) response {
	old, ok := q.account.byID[q.id]
	if !ok {
		return s.refuse(http.StatusNotFound, "not found")
	}
	sub := *old
	if q.args.name != nil {
		if *q.args.name == "" {
			return s.refuse(http.StatusBadRequest, "name is empty")
		}
		sub.Name = *q.args.name
	}
	if q.args.enabled != nil {
		sub.Enabled = *q.args.enabled
	}
	sub.Modified = s.today()
	q.account.put(sub)
	q.call.Committed = true
	return s.reply(http.StatusAccepted, map[string]any{"message": "changed"})
}

func (s *Server) delete(q *request) response {
	if _, ok := q.account.byID[q.id]; !ok {
		return s.refuse(http.StatusNotFound, "not found")
	}
	q.account.remove(q.id, q.args.cascade != nil && *q.args.cascade)
	q.call.Committed = true
	return response{status: http.StatusNoContent}
}

// object returns a subaccount as get and list show it, with its token.
func (a *account) object(sub Subaccount) map[string]any {
	var modified any
	if sub.Modified != "" {
		modified = sub.Modified
	}
	return map[string]any{
		"account":        "/v1/Account/" + a.id + "/",
		"auth_id":        sub.AuthID,
		"auth_token":     sub.AuthToken,
		"new_auth_token": sub.AuthToken, // undocumented; the real API sends the same value
		"created":        sub.Created,
		"enabled":        sub.Enabled,
		"modified":       modified,
		"name":           sub.Name,
		"resource_uri":   "/v1/Account/" + a.id + "/Subaccount/" + sub.AuthID + "/",
	}
}
