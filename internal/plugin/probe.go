// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// Prober checks the assumptions that docs/decisions/001-exactly-one.md makes about Plivo
// on one disabled subaccount that it creates and deletes.
type Prober struct {
	Client *plivo.Client
	// ClusterUID of this cluster, whose markers the operator may delete: the probe's
	// name has another one.
	ClusterUID string
	// SettleTime is how long Plivo's list may lack a new subaccount.
	SettleTime time.Duration
	// Progress gets one line for each step.
	Progress io.Writer

	budget *plivo.Budget
	report *Report
}

// probeInterval is the pause between two reads of the list.
const probeInterval = 2 * time.Second

// oddName is a name of 128 characters with letters of several scripts and double spaces
// inside.
var oddName = func() string {
	name := "Probe  of kubectl plivo — Ünïcödé  日本語 "
	return name + strings.Repeat("x", maxName-utf8.RuneCountInString(name))
}()

// probeName returns a name of a marker's form that is no marker of this cluster.
func (p *Prober) probeName() string {
	cluster := "00000000"
	if strings.HasPrefix(p.ClusterUID, cluster) {
		cluster = "ffffffff"
	}
	return plan.Marker(types.UID(cluster), uuid.NewUUID())
}

// Run adds the findings to the report. It deletes the subaccount that it has created
// also if the context ends; left names one that it could not delete.
func (p *Prober) Run(ctx context.Context, report *Report) (left string, err error) {
	p.report, p.budget = report, plivo.NewBudget(requestBudget, 0, time.Now(), nil)
	name := p.probeName()
	p.progress("Creating the disabled subaccount %s.", name)
	var created plivo.Created
	err = p.call(ctx, func(ctx context.Context) (err error) {
		created, err = p.Client.Create(ctx, name, false)
		return err
	})
	if e := plivo.AsError(err); e != nil {
		if e.IsDefinite() {
			return "", err
		}
		return p.findLost(ctx, name, err)
	}
	deleted := false
	defer func() {
		if deleted {
			return
		}
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		if e := p.Client.Delete(cleanup, created.AuthID, false); e != nil && !plivo.IsKind(e, plivo.KindNotFound) {
			left = created.AuthID
		}
	}()
	p.report.Add("A create response has the ID and the token", VerdictOK, "", "auth_id and auth_token")
	p.checkCreated(ctx, name, created)
	p.checkList(ctx, created)
	p.checkUpdates(ctx, created.AuthID)
	p.checkLimit(ctx)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	deleted = p.checkDeletion(ctx, created.AuthID)
	return "", ctx.Err()
}

// findLost looks for the subaccount of a create call whose response was lost, and
// deletes it.
func (p *Prober) findLost(ctx context.Context, name string, lost error) (left string, err error) {
	p.progress("The response to the create call was lost: %v. Searching Plivo's list.", lost)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.SettleTime+callTimeout)
	defer cancel()
	for ctx.Err() == nil {
		row, found, _ := p.listed(ctx, func(s plivo.Subaccount) bool { return s.Name == name })
		if !found {
			sleep(ctx, probeInterval)
			continue
		}
		if err := p.Client.Delete(ctx, row.AuthID, false); err != nil {
			return row.AuthID, lost
		}
		return "", lost
	}
	return "perhaps one of the name " + name, lost
}

func (p *Prober) checkCreated(ctx context.Context, name string, created plivo.Created) {
	got, err := p.get(ctx, created.AuthID)
	if err != nil {
		p.unknown("A new subaccount can be read", err)
		return
	}
	p.report.Add("The name is a marker that stays as it was sent", VerdictOf(got.Name == name),
		"The operator cannot find the subaccount of a lost create response by its name. Do not use it with this account.", "%q", got.Name)
	p.report.Add("create honours enabled: false", VerdictOf(!got.Enabled),
		"A new subaccount can be used before the operator has recorded it.", "enabled: %t", got.Enabled)
	p.report.Add("get returns the token of the create response", VerdictOf(got.Token.Equal(created.Token)),
		"After a restart in the middle of a creation the Secret would get another token.", "%s", same(got.Token.Equal(created.Token)))
}

func (p *Prober) checkList(ctx context.Context, created plivo.Created) {
	const assumption = "Plivo's list shows a new subaccount within the settle time"
	const meaning = "The operator could take a slow creation for a failed one and create another. Raise --plivo-settle-margin " +
		"above the time that was observed."
	started := time.Now()
	for {
		row, found, err := p.listed(ctx, func(s plivo.Subaccount) bool { return s.AuthID == created.AuthID })
		took := time.Since(started)
		switch {
		case err != nil:
			p.unknown(assumption, err)
			return
		case found:
			p.report.Add(assumption, VerdictOf(took <= p.SettleTime), meaning, "after %s", took.Round(time.Second))
			p.report.Add("The list has the tokens", VerdictOf(row.Token.Equal(created.Token)),
				"The operator works, but sees a token that somebody has changed only when it reads that subaccount.",
				"%s", same(row.Token.Equal(created.Token)))
			return
		case took > 2*p.SettleTime:
			p.report.Add(assumption, VerdictDiffers, meaning, "not after %s", took.Round(time.Second))
			return
		}
		p.progress("The list does not show the subaccount yet, %s after the create response.", took.Round(time.Second))
		sleep(ctx, min(probeInterval, p.SettleTime/4))
	}
}

func (p *Prober) checkUpdates(ctx context.Context, authID string) {
	const nameKept = "A name of 128 characters, several scripts and double spaces is kept"
	const both, disables = "update sets name and enabled together", "update honours enabled: false"
	const observed = "enabled: %t, a name of %d characters"
	if got, err := p.update(ctx, authID, true); err != nil {
		p.unknown(nameKept, err)
		p.unknown(both, err)
	} else {
		length := utf8.RuneCountInString(got.Name)
		p.report.Add(nameKept, VerdictOf(got.Name == oddName), "Plivo keeps some names in another form. "+
			"The operator notices, reports NameChangedByPlivo and does not send the name again.", observed, got.Enabled, length)
		p.report.Add(both, VerdictOf(got.Enabled), "The operator cannot disable or rename subaccounts in one call.", observed, got.Enabled, length)
	}
	if got, err := p.update(ctx, authID, false); err != nil {
		p.unknown(disables, err)
	} else {
		p.report.Add(disables, VerdictOf(!got.Enabled), "The operator cannot disable subaccounts.", observed, got.Enabled, utf8.RuneCountInString(got.Name))
	}
}

// update sets oddName and enabled, and returns the subaccount as a get shows it then.
func (p *Prober) update(ctx context.Context, authID string, enabled bool) (plivo.Subaccount, error) {
	if err := p.call(ctx, func(ctx context.Context) error { return p.Client.Update(ctx, authID, oddName, enabled) }); err != nil {
		return plivo.Subaccount{}, err
	}
	return p.get(ctx, authID)
}

func (p *Prober) checkLimit(ctx context.Context) {
	const assumption = "A list with limit=21 is refused, or cut to 20 rows"
	var page plivo.Page
	err := p.call(ctx, func(ctx context.Context) (err error) {
		page, err = p.Client.List(ctx, plivo.MaxPageSize+1, 0)
		return err
	})
	switch e := plivo.AsError(err); {
	case e == nil:
		p.report.Add(assumption, VerdictOf(len(page.Subaccounts) <= plivo.MaxPageSize), "Larger pages would be possible; the operator does not need them.",
			"%d rows", len(page.Subaccounts))
	case e.Kind == plivo.KindInvalid:
		p.report.Add(assumption, VerdictOK, "", "HTTP %d", e.Status)
	default:
		p.unknown(assumption, err)
	}
}

// checkDeletion deletes the subaccount and reports whether it is gone.
func (p *Prober) checkDeletion(ctx context.Context, authID string) (gone bool) {
	remove := func() error {
		return p.call(ctx, func(ctx context.Context) error { return p.Client.Delete(ctx, authID, false) })
	}
	err := remove()
	if err != nil {
		p.unknown("DELETE answers 204", err)
		return false
	}
	p.report.Add("DELETE answers 204", VerdictOK, "", "HTTP 204")
	p.isNotFound("get of a deleted subaccount is a 404", "The operator cannot tell a deleted subaccount from a failing Plivo: it waits and recreates nothing.",
		func() error { _, err := p.get(ctx, authID); return err })
	p.isNotFound("A second DELETE is a 404", "A deletion whose response was lost is repeated until Plivo answers 204 or 404. The operator "+
		"takes a 204 for a deletion, which is right.", remove)
	_, found, err := p.listed(ctx, func(s plivo.Subaccount) bool { return s.AuthID == authID })
	if err != nil {
		p.unknown("Plivo's list lacks a deleted subaccount", err)
		return true
	}
	p.report.Add("Plivo's list lacks a deleted subaccount", VerdictOf(!found), "The operator removes a finalizer after its own 204, and otherwise waits for the list.",
		"listed: %t", found)
	return true
}

func (p *Prober) isNotFound(assumption, meaning string, do func() error) {
	err := do()
	switch e := plivo.AsError(err); {
	case e == nil:
		p.report.Add(assumption, VerdictDiffers, meaning, "success")
	case e.Kind == plivo.KindNotFound:
		p.report.Add(assumption, VerdictOK, "", "HTTP 404")
	case e.Status == 0:
		p.unknown(assumption, err)
	default:
		p.report.Add(assumption, VerdictDiffers, meaning, "HTTP %d: %s", e.Status, e.Message)
	}
}

func (p *Prober) get(ctx context.Context, authID string) (got plivo.Subaccount, err error) {
	err = p.call(ctx, func(ctx context.Context) (err error) {
		got, err = p.Client.Get(ctx, authID)
		return err
	})
	return got, err
}

// listed reads the whole list and returns the first row that matches.
func (p *Prober) listed(ctx context.Context, matches func(plivo.Subaccount) bool) (row plivo.Subaccount, found bool, err error) {
	_, err = plivo.ReadList(func(offset int) (page plivo.Page, err error) {
		err = p.call(ctx, func(ctx context.Context) (err error) {
			page, err = p.Client.List(ctx, plivo.MaxPageSize, offset)
			return err
		})
		for _, s := range page.Subaccounts {
			if !found && matches(s) {
				row, found = s, true
			}
		}
		return page, err
	}, nil)
	return row, found, err
}

// call makes one call within the plugin's request budget.
func (p *Prober) call(ctx context.Context, do func(context.Context) error) error {
	slot, err := p.budget.Acquire(ctx, plivo.ClassBackground)
	if err != nil {
		return err
	}
	defer slot.Done()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return do(ctx)
}

func (p *Prober) unknown(assumption string, err error) {
	p.report.Add(assumption, VerdictUnknown, "Run the check again.", "%v", err)
}

func (p *Prober) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(p.Progress, format+"\n", args...)
}

func same(is bool) string {
	if is {
		return "the same"
	}
	return "another, or none"
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
