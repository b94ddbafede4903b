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
	// requestBudget is the plugin's share of the 300 requests in 5 s that a main
	// account has for everything: the operator may spend 150, the rest is the
	// customer's own traffic.
	requestBudget = 50

	// callTimeout is what the manager gives to a call.
	callTimeout = 10 * time.Second

	// attempts at reading a list that changes meanwhile.
	attempts = 3

	// mostPauses in a row, and mostPause at a time, are waited for when the rate
	// limit is reached.
	mostPauses = 5
	mostPause  = time.Minute

	// mostFailures of one page in a row end the reading: a long list shall not be
	// lost to one answer. Each pause is as much longer than the last.
	mostFailures = 4
	failurePause = time.Second

	// tellEach so many subaccounts that were read, a line of progress.
	tellEach = 100
)

var errChanging = errors.New("the list of subaccounts changed each time it was read, and so does not tell " +
	"which of them are managed: try again when fewer are made and deleted")

// reader reads the list of one main account.
type reader struct {
	client   *plivo.Client
	budget   *plivo.Budget
	progress io.Writer
}

// ReadAll reads the whole list of a main account's subaccounts, without their
// tokens. A list that changed while it was read can lack some, and is read
// again. What takes time is told on progress.
func ReadAll(ctx context.Context, client *plivo.Client, progress io.Writer) ([]Remote, error) {
	r := &reader{client, plivo.NewBudget(requestBudget, 0, nil), progress}
	for range attempts {
		remotes, reading, err := r.readList(ctx)
		if err != nil {
			return nil, err
		}
		if reading.AddsUp {
			for _, row := range reading.Skipped {
				r.tell("Skipped a subaccount that cannot be read: %s.", row)
			}
			return remotes, nil
		}
		r.tell("The list of subaccounts changed while it was read.")
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
		if read := offset + len(page.Subaccounts); read/tellEach > offset/tellEach && read < page.Total {
			r.tell("Read %d of %d subaccounts.", read, page.Total)
		}
		return page, err
	}, nil)
	return slices.Collect(maps.Values(rows)), reading, err
}

// readPage reads one page, again when the rate limit is reached and when Plivo,
// or what is between, fails.
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
			if pauses++; pause > mostPause || pauses > mostPauses {
				return page, fmt.Errorf("the main account's rate limit at Plivo is reached: try again in %s", pause.Round(time.Second))
			}
			r.tell("Plivo's rate limit is reached; going on in %s.", pause.Round(time.Second))
		case temporary(e):
			if failures++; failures == mostFailures {
				return page, err
			}
			pause = time.Duration(failures) * failurePause
			r.tell("%v; trying again in %s.", err, pause)
		default:
			return page, err
		}
		r.budget.Pause(time.Now().Add(pause))
	}
}

// temporary says whether there was no whole answer, or one that tells of
// trouble at the other side: a look can be taken again.
func temporary(e *plivo.Error) bool {
	return e.Kind == plivo.KindUnknown && (e.Status < 300 || e.Status >= 500)
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

func (r *reader) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(r.progress, format+"\n", args...)
}
