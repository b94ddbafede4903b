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
	rows      map[string]row
	markers   map[string][]string // name that is a marker -> authIDs that bear it
	notFound  map[string]plan.NotFound
	nameForms map[string]nameForm
	lastSweep time.Time // start of the last complete sweep, zero: none yet
}

type row struct {
	name    string
	digest  plivo.Digest
	at      time.Time
	enabled bool
	// updateUnconfirmed: an update's answer was lost since.
	updateUnconfirmed bool
	// deleted: we have deleted it; kept until a later sweep has had its say, so that
	// an older page cannot bring it back.
	deleted bool
}

// nameForm remembers what Plivo makes of a name that we send: a name that it
// changes would otherwise be sent again after every sweep.
type nameForm struct {
	sent, seen string
	// unread: nothing was read since it was sent.
	unread bool
	// repeats: how often in a row seen was read back after sent was sent.
	repeats int
}

func newInventory() inventory {
	return inventory{
		rows: map[string]row{}, markers: map[string][]string{},
		notFound: map[string]plan.NotFound{}, nameForms: map[string]nameForm{},
	}
}

// put replaces a row and keeps the index of markers true.
func (v *inventory) put(authID string, r row) {
	v.drop(authID)
	v.rows[authID] = r
	if !r.deleted && plan.IsMarker(r.name) {
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

// setRead takes in what a request sent at the given time has shown.
func (v *inventory) setRead(authID string, r row, asked time.Time) {
	old, known := v.rows[authID]
	newest := old.at
	if !known {
		newest = v.lastSweep // which lacked it
	}
	if asked.Before(newest) {
		return
	}
	if r.digest == (plivo.Digest{}) {
		r.digest = old.digest // the list masks tokens: what a get has shown still counts
	}
	if n, ok := v.notFound[authID]; ok && asked.After(n.Last) {
		delete(v.notFound, authID)
	} else if ok {
		n.MissingSince = time.Time{}
		v.notFound[authID] = n
	}
	if e, ok := v.nameForms[authID]; ok && e.unread {
		if e = e.readBack(r.name); e.repeats > 0 {
			v.nameForms[authID] = e
		} else {
			delete(v.nameForms, authID)
		}
	}
	r.at = asked
	v.put(authID, r)
}

// setWritten takes in what we have just written.
func (v *inventory) setWritten(authID string, r row, answered time.Time) {
	r.at = answered
	v.put(authID, r)
}

func (v *inventory) setUpdated(authID, name string, enabled bool, answered time.Time) {
	r := v.rows[authID]
	r.name, r.enabled, r.updateUnconfirmed, r.deleted = name, enabled, false, false
	v.setWritten(authID, r, answered)
	e := v.nameForms[authID]
	if e.sent != name {
		e = nameForm{sent: name}
	}
	e.unread = true
	v.nameForms[authID] = e
}

func (v *inventory) setUpdateUnconfirmed(authID string, answered time.Time) {
	r := v.rows[authID]
	r.updateUnconfirmed = true
	v.setWritten(authID, r, answered)
}

func (v *inventory) setDeleted(authID string, answered time.Time) {
	v.setWritten(authID, row{deleted: true}, answered)
	delete(v.notFound, authID)
	delete(v.nameForms, authID)
}

func (v *inventory) setNotFound(authID string, at time.Time) {
	n := v.notFound[authID]
	if n.First.IsZero() {
		n.First = at
	}
	n.Last = at
	if n.MissingSince.IsZero() && v.isMissing(authID) {
		n.MissingSince = v.lastSweep
	}
	v.notFound[authID] = n
}

// endSweep ends a complete sweep: what it has not shown is not there.
func (v *inventory) endSweep(started time.Time) {
	last := v.lastSweep
	v.lastSweep = started
	for authID, r := range v.rows {
		if r.at.Before(started) {
			v.drop(authID)
			delete(v.nameForms, authID)
		}
	}
	for authID, n := range v.notFound {
		if n.MissingSince.IsZero() && v.isMissing(authID) {
			n.MissingSince = started
			v.notFound[authID] = n
		}
		// A subaccount that nobody reads any more is forgotten in the end, but not
		// between two sweeps: somebody may wait for the second one.
		if last.Sub(n.Last) > forgetMissing {
			delete(v.notFound, authID)
		}
	}
}

// isMissing says whether the last complete sweep has not shown a subaccount and
// nothing since has.
func (v *inventory) isMissing(authID string) bool {
	_, ok := v.rows[authID]
	return !ok
}

const forgetMissing = 24 * time.Hour

// readBack takes in the first name read back after ours was sent.
func (e nameForm) readBack(name string) nameForm {
	e.unread = false
	switch {
	case name == e.sent:
		e.seen, e.repeats = "", 0
	case normalized(name) == normalized(e.sent):
		// White space or case: nobody does that by hand.
		e.seen, e.repeats = name, settledRepeats
	case name == e.seen:
		e.repeats++
	default:
		e.seen, e.repeats = name, 1
	}
	return e
}

// settledRepeats: a change by hand may happen once between our write and the
// next reading; the same one twice in a row is Plivo's own doing.
const settledRepeats = 2

// sentAs returns the name that was sent if Plivo is known to turn it into
// the given one.
func (e nameForm) sentAs(name string) string {
	if e.repeats >= settledRepeats && e.seen == name {
		return e.sent
	}
	return ""
}

func normalized(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), "")) }
