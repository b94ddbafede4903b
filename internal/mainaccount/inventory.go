package mainaccount

import (
	"slices"
	"strings"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// inventory is what sweeps, looks and our own writes tell of a main account's
// subaccounts. A row read before our own last write to a subaccount says
// nothing about it, so each row carries its time: of the request that read it,
// or of the answer to the write.
type inventory struct {
	rows    map[string]row
	markers map[string][]string // name that is a marker -> authIDs that bear it
	missing map[string]plan.NotFound
	echoes  map[string]echo
	swept   time.Time // start of the last complete sweep, zero: none yet
}

type row struct {
	name    string
	digest  plivo.Digest
	at      time.Time
	enabled bool
	// unsure: an update's answer was lost since.
	unsure bool
	// gone: we have deleted it; kept until a later sweep has had its say, so that
	// an older page cannot bring it back.
	gone bool
}

// echo remembers what Plivo makes of a name that we send: a name that it
// changes would otherwise be sent again after every sweep.
type echo struct {
	sent, seen string
	// fresh: nothing was read since it was sent.
	fresh bool
	// strikes: how often in a row seen was read back after sent was sent.
	strikes int
}

func newInventory() inventory {
	return inventory{
		rows: map[string]row{}, markers: map[string][]string{},
		missing: map[string]plan.NotFound{}, echoes: map[string]echo{},
	}
}

// put replaces a row and keeps the index of markers true.
func (v *inventory) put(authID string, r row) {
	v.drop(authID)
	v.rows[authID] = r
	if !r.gone && plan.IsMarker(r.name) {
		v.markers[r.name] = append(v.markers[r.name], authID)
	}
}

func (v *inventory) drop(authID string) {
	old, ok := v.rows[authID]
	if !ok {
		return
	}
	delete(v.rows, authID)
	if ids := slices.DeleteFunc(v.markers[old.name], func(id string) bool { return id == authID }); len(ids) > 0 {
		v.markers[old.name] = ids
	} else {
		delete(v.markers, old.name)
	}
}

// read takes in what a request sent at the given time has shown.
func (v *inventory) read(authID string, r row, asked time.Time) {
	old, known := v.rows[authID]
	newest := old.at
	if !known {
		newest = v.swept // which lacked it
	}
	if asked.Before(newest) {
		return
	}
	if r.digest == (plivo.Digest{}) {
		r.digest = old.digest // the list masks tokens: what a get has shown still counts
	}
	if n, ok := v.missing[authID]; ok && asked.After(n.Last) {
		delete(v.missing, authID)
	} else if ok {
		n.Lacked = time.Time{}
		v.missing[authID] = n
	}
	if e, ok := v.echoes[authID]; ok && e.fresh {
		if e = e.heard(r.name); e.strikes > 0 {
			v.echoes[authID] = e
		} else {
			delete(v.echoes, authID)
		}
	}
	r.at = asked
	v.put(authID, r)
}

// wrote takes in what we have just written.
func (v *inventory) wrote(authID string, r row, answered time.Time) {
	r.at = answered
	v.put(authID, r)
}

func (v *inventory) updated(authID, name string, enabled bool, answered time.Time) {
	r := v.rows[authID]
	r.name, r.enabled, r.unsure, r.gone = name, enabled, false, false
	v.wrote(authID, r, answered)
	e := v.echoes[authID]
	if e.sent != name {
		e = echo{sent: name}
	}
	e.fresh = true
	v.echoes[authID] = e
}

func (v *inventory) unsure(authID string, answered time.Time) {
	r := v.rows[authID]
	r.unsure = true
	v.wrote(authID, r, answered)
}

func (v *inventory) deleted(authID string, answered time.Time) {
	v.wrote(authID, row{gone: true}, answered)
	delete(v.missing, authID)
	delete(v.echoes, authID)
}

func (v *inventory) notFound(authID string, at time.Time) {
	n := v.missing[authID]
	if n.First.IsZero() {
		n.First = at
	}
	n.Last = at
	if n.Lacked.IsZero() && v.lacks(authID) {
		n.Lacked = v.swept
	}
	v.missing[authID] = n
}

// complete ends a complete sweep: what it has not shown is not there.
func (v *inventory) complete(started time.Time) {
	last := v.swept
	v.swept = started
	for authID, r := range v.rows {
		if r.at.Before(started) {
			v.drop(authID)
			delete(v.echoes, authID)
		}
	}
	for authID, n := range v.missing {
		if n.Lacked.IsZero() && v.lacks(authID) {
			n.Lacked = started
			v.missing[authID] = n
		}
		// A subaccount that nobody reads any more is forgotten in the end, but not
		// between two sweeps: somebody may wait for the second one.
		if last.Sub(n.Last) > forgetMissing {
			delete(v.missing, authID)
		}
	}
}

// lacks says whether the last complete sweep has not shown a subaccount and
// nothing since has.
func (v *inventory) lacks(authID string) bool {
	_, ok := v.rows[authID]
	return !ok
}

const forgetMissing = 24 * time.Hour

// heard takes in the first name read back after ours was sent.
func (e echo) heard(name string) echo {
	e.fresh = false
	switch {
	case name == e.sent:
		e.seen, e.strikes = "", 0
	case folded(name) == folded(e.sent):
		// White space or case: nobody does that by hand.
		e.seen, e.strikes = name, settledStrikes
	case name == e.seen:
		e.strikes++
	default:
		e.seen, e.strikes = name, 1
	}
	return e
}

// settledStrikes: a change by hand may happen once between our write and the
// next reading; the same one twice in a row is Plivo's own doing.
const settledStrikes = 2

// settledAs returns the name that was sent if Plivo is known to turn it into
// the given one.
func (e echo) settledAs(name string) string {
	if e.strikes >= settledStrikes && e.seen == name {
		return e.sent
	}
	return ""
}

func folded(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), "")) }
