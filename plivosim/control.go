// SPDX-License-Identifier: Apache-2.0

package plivosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const controlPrefix = "/_sim/"

// controlHandler serves the control endpoint, with JSON requests and responses. It needs
// no credentials and shows the simulator's tokens, which are not secret.
//
//	GET    /_sim/accounts                 main accounts: [{auth_id, auth_token}]
//	PUT    /_sim/accounts/{MA}            {auth_token}: change the token, or add the account
//	GET    /_sim/subaccounts?account=     [Subaccount]
//	POST   /_sim/subaccounts?account=     {name, enabled}: add by hand; 201, Subaccount
//	PATCH  /_sim/subaccounts/{SA}         {name, enabled, rotate_token}, all optional: change by
//	                                      hand; Subaccount. POST does the same
//	DELETE /_sim/subaccounts/{SA}         delete by hand; 204
//	GET    /_sim/neighbours?account=      [Neighbour]
//	POST   /_sim/neighbours?account=      Neighbour: add; 201
//	GET    /_sim/calls                    [Call]
//	DELETE /_sim/calls                    ResetCalls; 204
//	GET    /_sim/faults                   [{id, struck, fault}]
//	POST   /_sim/faults                   Fault: inject; 201, {id}
//	DELETE /_sim/faults                   remove all; 204
//	DELETE /_sim/faults/{id}              remove one; 204
//	POST   /_sim/late                     CommitLate; {committed}
//
// account may be omitted if there is only one. Errors are {error}.
func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/accounts", s.controlAccounts)
	mux.HandleFunc("PUT /_sim/accounts/{account}", s.controlSetToken)
	mux.HandleFunc("GET /_sim/subaccounts", s.withAccount(s.controlSubaccounts))
	mux.HandleFunc("POST /_sim/subaccounts", s.withAccount(s.controlAdd))
	mux.HandleFunc("PATCH /_sim/subaccounts/{id}", s.withOwner(s.controlEdit))
	mux.HandleFunc("POST /_sim/subaccounts/{id}", s.withOwner(s.controlEdit))
	mux.HandleFunc("DELETE /_sim/subaccounts/{id}", s.withOwner(s.controlRemove))
	mux.HandleFunc("GET /_sim/neighbours", s.withAccount(s.controlNeighbours))
	mux.HandleFunc("POST /_sim/neighbours", s.withAccount(s.controlAddNeighbour))
	mux.HandleFunc("GET /_sim/calls", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, s.Calls())
	})
	mux.HandleFunc("DELETE /_sim/calls", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetCalls()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sim/faults", s.controlFaults)
	mux.HandleFunc("POST /_sim/faults", s.controlInject)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_sim/faults/{id}", s.controlRemoveFault)
	mux.HandleFunc("POST /_sim/late", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]int{"committed": s.CommitLate()})
	})
	return mux
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(v), '\n'))
}

func writeError(w http.ResponseWriter, status int, message string) {
	write(w, status, map[string]string{"error": message})
}

// read decodes a body. If it fails, it responds with 400 and returns false.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

type accountHandler func(w http.ResponseWriter, r *http.Request, account string)

// withAccount finds the account in the query, or the only one.
func (s *Server) withAccount(next accountHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("account")
		s.mu.Lock()
		if id == "" && len(s.accounts) == 1 {
			for only := range s.accounts {
				id = only
			}
		}
		_, ok := s.accounts[id]
		s.mu.Unlock()
		switch {
		case ok:
			next(w, r, id)
		case id == "":
			writeError(w, http.StatusBadRequest, "account is required")
		default:
			writeError(w, http.StatusNotFound, "no such main account")
		}
	}
}

// withOwner finds the account of the subaccount in the path.
func (s *Server) withOwner(next accountHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		owner := ""
		s.mu.Lock()
		for id, a := range s.accounts {
			if a.byID[r.PathValue("id")] != nil {
				owner = id
			}
		}
		s.mu.Unlock()
		if owner == "" {
			writeError(w, http.StatusNotFound, "no such subaccount")
			return
		}
		next(w, r, owner)
	}
}

type controlAccount struct {
	AuthID    string `json:"auth_id,omitempty"`
	AuthToken string `json:"auth_token"`
}

func (s *Server) controlAccounts(w http.ResponseWriter, _ *http.Request) {
	list := []controlAccount{}
	s.mu.Lock()
	for id, a := range s.accounts {
		list = append(list, controlAccount{id, a.token})
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b controlAccount) int { return strings.Compare(a.AuthID, b.AuthID) })
	write(w, http.StatusOK, list)
}

func (s *Server) controlSetToken(w http.ResponseWriter, r *http.Request) {
	var body controlAccount
	if !read(w, r, &body) {
		return
	}
	if body.AuthToken == "" {
		writeError(w, http.StatusBadRequest, "auth_token is required")
		return
	}
	s.SetToken(r.PathValue("account"), body.AuthToken)
	write(w, http.StatusOK, controlAccount{r.PathValue("account"), body.AuthToken})
}

func (s *Server) controlSubaccounts(w http.ResponseWriter, _ *http.Request, account string) {
	write(w, http.StatusOK, s.Subaccounts(account))
}

func (s *Server) controlAdd(w http.ResponseWriter, r *http.Request, account string) {
	var body struct {
		Name    string `json:"name"`
		Enabled bool   `json:"enabled"`
	}
	if read(w, r, &body) {
		write(w, http.StatusCreated, s.Add(account, body.Name, body.Enabled))
	}
}

func (s *Server) controlEdit(w http.ResponseWriter, r *http.Request, account string) {
	var body struct {
		Name        *string `json:"name"`
		Enabled     *bool   `json:"enabled"`
		RotateToken bool    `json:"rotate_token"`
	}
	if !read(w, r, &body) {
		return
	}
	var edited Subaccount
	s.Edit(account, r.PathValue("id"), func(sub *Subaccount) {
		if body.Name != nil {
			sub.Name = *body.Name
		}
		if body.Enabled != nil {
			sub.Enabled = *body.Enabled
		}
		if body.RotateToken {
			sub.AuthToken = s.newToken()
		}
		edited = *sub
	})
	write(w, http.StatusOK, edited)
}

func (s *Server) controlRemove(w http.ResponseWriter, r *http.Request, account string) {
	s.Remove(account, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) controlNeighbours(w http.ResponseWriter, _ *http.Request, account string) {
	write(w, http.StatusOK, append([]Neighbour{}, s.Neighbours(account)...))
}

func (s *Server) controlAddNeighbour(w http.ResponseWriter, r *http.Request, account string) {
	var n Neighbour
	if !read(w, r, &n) {
		return
	}
	if !n.Kind.valid() {
		writeError(w, http.StatusBadRequest, fmt.Sprintf("no such kind: %q", n.Kind))
		return
	}
	write(w, http.StatusCreated, s.AddNeighbour(account, n))
}

func (s *Server) controlFaults(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		ID     int   `json:"id"`
		Struck int   `json:"struck"`
		Fault  Fault `json:"fault"`
	}
	list := []entry{}
	s.mu.Lock()
	for _, f := range s.faults {
		list = append(list, entry{f.id, f.struck, f.Fault})
	}
	s.mu.Unlock()
	write(w, http.StatusOK, list)
}

func (s *Server) controlInject(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if !read(w, r, &f) {
		return
	}
	if err := f.Validate(); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	write(w, http.StatusCreated, map[string]int{"id": s.Inject(f)})
}

func (s *Server) controlRemoveFault(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || !s.RemoveFault(id) {
		writeError(w, http.StatusNotFound, "no such fault")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
