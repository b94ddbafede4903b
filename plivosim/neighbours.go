// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"net/http"
	"strings"
)

// NeighbourKind is a kind of resource that a subaccount can own and that a cascading
// deletion deletes. It is also a part of the path.
type NeighbourKind string

// The neighbours.
const (
	Application NeighbourKind = "Application"
	Endpoint    NeighbourKind = "Endpoint"
	Number      NeighbourKind = "Number"
)

// neighbourFields has the JSON names of a neighbour's ID and name.
var neighbourFields = map[NeighbourKind]struct{ id, name string }{
	Application: {"app_id", "app_name"},
	Endpoint:    {"endpoint_id", "alias"},
	Number:      {"number", "alias"},
}

func (k NeighbourKind) valid() bool { _, ok := neighbourFields[k]; return ok }

// Neighbour is one Application, Endpoint or Number of a main account. It has only the
// fields that a cascade needs.
type Neighbour struct {
	Kind NeighbourKind `json:"kind"`
	// ID is random if it is empty.
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Subaccount is the auth_id of the owner; empty for the main account itself.
	Subaccount string `json:"subaccount,omitempty"`
}

// neighbours serves the collection of a neighbour: GET lists it, with an optional filter
// by subaccount, and POST creates one.
func (s *Server) neighbours(q *request) response {
	if q.http.Method == http.MethodPost {
		return s.createNeighbour(q)
	}
	query := q.http.URL.Query()
	p, err := pageOf(query)
	if err != nil {
		return s.refuse(http.StatusBadRequest, err.Error())
	}
	objects := []map[string]any{}
	for _, n := range q.account.neighbours {
		isSelected := !query.Has("subaccount") || query.Get("subaccount") == n.Subaccount
		if n.Kind == q.kind && isSelected {
			objects = append(objects, q.account.neighbourObject(n))
		}
	}
	return s.listing(q.http.URL, p, len(objects), rowsOf(p, objects, 0))
}

// createNeighbour accepts the owner as subaccount or sub_account, and as an ID or a
// resource path: clients use all of them.
func (s *Server) createNeighbour(q *request) response {
	n := Neighbour{Kind: q.kind}
	if q.args.name != nil {
		n.Name = *q.args.name
	}
	if q.kind == Number {
		n.ID, n.Name = n.Name, ""
	}
	if q.args.subaccount != nil {
		path := strings.Split(strings.Trim(*q.args.subaccount, "/"), "/")
		n.Subaccount = path[len(path)-1]
	}
	if _, ok := q.account.byID[n.Subaccount]; !ok && n.Subaccount != "" {
		return s.refuse(http.StatusBadRequest, "no such subaccount")
	}
	n = s.addNeighbour(q.account, n)
	q.call.Committed = true
	return s.reply(http.StatusCreated, map[string]any{
		neighbourFields[n.Kind].id: n.ID, "message": "created",
	})
}

func (s *Server) addNeighbour(a *account, n Neighbour) Neighbour {
	if n.ID == "" {
		n.ID = s.randomText("123456789", 12)
	}
	a.neighbours = append(a.neighbours, n)
	return n
}

func (a *account) neighbourObject(n Neighbour) map[string]any {
	var owner any
	if n.Subaccount != "" {
		owner = "/v1/Account/" + n.Subaccount + "/"
	}
	fields := neighbourFields[n.Kind]
	return map[string]any{
		fields.id:      n.ID,
		fields.name:    n.Name,
		"sub_account":  owner,
		"resource_uri": "/v1/Account/" + a.id + "/" + string(n.Kind) + "/" + n.ID + "/",
	}
}
