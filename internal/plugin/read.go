// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

const (
	// requestBudget is the plugin's share of the 300 requests in 5 s of a main account.
	// The operator uses 150 by default, and the rest is for the owner's traffic.
	requestBudget = 50

	// callTimeout is the default of the manager's --plivo-timeout.
	callTimeout = 10 * time.Second

	// attempts is how often the plugin reads a list that changes during the reading.
	attempts = 3

	// maxPauses is how often in a row, and maxPause how long at a time, the plugin waits
	// for the rate limit.
	maxPauses = 5
	maxPause  = time.Minute

	// maxFailures of one page in a row end the reading. One failure must not discard the
	// pages before it. Each pause is longer than the one before by failurePause.
	maxFailures  = 4
	failurePause = time.Second
)

var errChanging = errors.New("the list of subaccounts changed each time it was read, so the plugin cannot say which of " +
	"them are managed: try again while fewer subaccounts are created and deleted")

// reader reads the list of one main account.
type reader struct {
	client   *plivo.Client
	budget   *plivo.Budget
	notices  io.Writer
	progress func(read, total int)
}

// ReadAll reads the whole list of a main account's subaccounts, without their tokens. If
// the list changes during the reading, it may lack rows, so ReadAll reads it again. It
// writes its pauses and retries to notices, and calls progress after each page.
func ReadAll(ctx context.Context, client *plivo.Client, notices io.Writer, progress func(read, total int)) ([]Remote, error) {
	r := &reader{client, plivo.NewBudget(requestBudget, 0, time.Now(), nil), notices, progress}
	for range attempts {
		remotes, reading, err := r.readList(ctx)
		if err != nil {
			return nil, err
		}
		if reading.AddsUp {
			for _, row := range reading.Skipped {
				r.report("Skipped a subaccount that cannot be read: %s.", row)
			}
			return remotes, nil
		}
		r.report("The list of subaccounts changed while it was read.")
	}
	return nil, errChanging
}

func (r *reader) readList(ctx context.Context) (remotes []Remote, reading plivo.Reading, err error) {
	rows := map[string]Remote{}
	reading, err = plivo.ReadList(func(offset int) (plivo.Page, error) {
		page, err := r.readPage(ctx, offset)
		for _, s := range page.Subaccounts {
			rows[s.AuthID] = Remote{
				AuthID: s.AuthID, Name: s.Name, Enabled: s.Enabled, Created: s.Created, Modified: s.Modified,
			}
		}
		if err == nil {
			r.progress(offset+len(page.Subaccounts), page.Total)
		}
		return page, err
	}, nil)
	return slices.Collect(maps.Values(rows)), reading, err
}

// readPage reads one page. It retries if the rate limit is reached or for a temporary
// failure.
func (r *reader) readPage(ctx context.Context, offset int) (plivo.Page, error) {
	pauses, failures := 0, 0
	for {
		page, err := r.list(ctx, offset)
		e := plivo.AsError(err)
		var pause time.Duration
		switch {
		case e == nil || ctx.Err() != nil:
			return page, err
		case e.Status == 429:
			if pause = e.RetryAfter; pause == 0 {
				pause = plivo.Window
			}
			if pauses++; pause > maxPause || pauses > maxPauses {
				return page, fmt.Errorf("the main account's rate limit at Plivo is reached: try again in %s", pause.Round(time.Second))
			}
			r.report("Plivo's rate limit is reached; retrying in %s.", pause.Round(time.Second))
		case isTemporary(e):
			if failures++; failures == maxFailures {
				return page, err
			}
			pause = time.Duration(failures) * failurePause
			r.report("%v; retrying in %s.", err, pause)
		default:
			return page, err
		}
		r.budget.Pause(time.Now().Add(pause))
	}
}

// isTemporary says whether a list may succeed later: there was no complete response, or
// the status is 5xx.
func isTemporary(e *plivo.Error) bool {
	isComplete := e.Status >= 300 && e.Status < 500
	return e.Kind == plivo.KindUnknown && !isComplete
}

func (r *reader) list(ctx context.Context, offset int) (plivo.Page, error) {
	slot, err := r.budget.Acquire(ctx, plivo.ClassBackground)
	if err != nil {
		return plivo.Page{}, err
	}
	defer slot.Done()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.client.List(ctx, plivo.MaxPageSize, offset)
}

func (r *reader) report(format string, args ...any) {
	_, _ = fmt.Fprintf(r.notices, format+"\n", args...)
}
