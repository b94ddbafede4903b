// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Options are shared by all accounts of a process.
type Options struct {
	// NewClient returns a client for the credentials of a main account.
	NewClient func(plivo.Credentials) *plivo.Client
	// Timeout of one call to Plivo.
	Timeout time.Duration
	// Digester of tokens.
	Digester *plivo.Digester
	// Recorded returns the authIDs in the status of the account's Subaccounts; known
	// is false if they cannot be listed. It MUST NOT call the account.
	Recorded func(name string) (authIDs []string, known bool)
	// Notify requests a reconcile of an Account whose Status or inventory may have
	// changed. It MUST NOT block.
	Notify func(name string)
	// Wake requests a reconcile of a resource that waits for a slot of a request
	// budget; see plivo.NewBudget. It MUST NOT block.
	Wake func(plivo.Key)
	// Log gets the decisions about money or credentials.
	Log logr.Logger
	// Share is how many reconciles of one main account may have a turn at once.
	Share int
}

// Registry holds the accounts of a process by the name of their Account resource.
type Registry struct {
	ctx     context.Context
	options Options

	mu       sync.Mutex
	accounts map[string]*Account
	// budgets by main account. They stay when an Account is removed: another Account
	// may use the same main account within the window that Plivo counts.
	budgets map[string]*plivo.Budget
}

// NewRegistry returns an empty registry. The sweeps of its accounts end with the
// context.
func NewRegistry(ctx context.Context, options Options) *Registry {
	return &Registry{ctx: ctx, options: options, accounts: map[string]*Account{}, budgets: map[string]*plivo.Budget{}}
}

// Get returns the account with that name; ok is false before the first Configure or
// Block.
func (r *Registry) Get(name string) (*Account, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.accounts[name]
	return a, ok
}

// Configure sets the credentials and settings of an account and starts its sweeps.
// Credentials of another main account start a new inventory. usedBefore says whether
// another process may just have used the whole request budget: the first call then
// waits for one window.
func (r *Registry) Configure(name string, credentials plivo.Credentials, requestBudget int, sweepInterval time.Duration, usedBefore bool) *Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[name]
	if a == nil || a.hasOtherMainID(credentials.AuthID) {
		r.remove(name)
		a = newAccount(name, &r.options)
		r.accounts[name] = a
	}
	budget := r.budgets[credentials.AuthID]
	if budget == nil {
		freeAt := time.Now()
		if usedBefore {
			freeAt = freeAt.Add(plivo.Window)
		}
		budget = plivo.NewBudget(requestBudget, r.options.Share, freeAt, r.options.Wake)
		r.budgets[credentials.AuthID] = budget
	}
	budget.Resize(requestBudget)
	a.configure(r.ctx, credentials, budget, requestBudget, sweepInterval)
	return a
}

func (a *Account) hasOtherMainID(id string) bool { return a.mainID != "" && a.mainID != id }

// Block stops an account's calls and sweeps; reason and message say why.
func (r *Registry) Block(name, reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[name]
	if a == nil {
		a = newAccount(name, &r.options)
		r.accounts[name] = a
	}
	a.block(reason, message)
}

// Remove removes an account and ends its sweeps.
func (r *Registry) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(name)
}

func (r *Registry) remove(name string) {
	if a := r.accounts[name]; a != nil {
		a.block("", "")
		delete(r.accounts, name)
	}
}
