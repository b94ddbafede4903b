// SPDX-License-Identifier: Apache-2.0

package mainaccount

import (
	"slices"
	"strings"
	"time"

	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// inventory has what sweeps, reads and the operator's writes show of a main
// account's subaccounts. A read that the operator sent before its last write may
// show an old state. So each row has a time: when the operator sent the read, or
// when it got the response to the write.
type inventory struct {
	rows      map[string]row
	markers   map[string][]string // marker -> authIDs with that name
	notFound  map[string]plan.NotFound
	nameForms map[string]nameForm
	lastSweep time.Time // start of the last complete sweep; zero: none yet
}

type row struct {
	name    string
	digest  plivo.Digest
	at      time.Time
	enabled bool
	// updateUnconfirmed says whether the response to a later update was lost.
	updateUnconfirmed bool
	// deleted says whether the operator has deleted the subaccount. The row stays
	// until a later sweep ends, so that an older page cannot restore it.
	deleted bool
}

// nameForm has the form in which Plivo stores a name. Without it, the operator
// would send a name that Plivo changes again after every sweep.
type nameForm struct {
	sent, seen string
	// unread says whether the operator has not read the name since it sent it.
	unread bool
	// repeats counts how often in a row the operator read seen after it sent sent.
	repeats int
}

func newInventory() inventory {
	return inventory{
		rows: map[string]row{}, markers: map[string][]string{},
		notFound: map[string]plan.NotFound{}, nameForms: map[string]nameForm{},
	}
}

// put replaces a row and updates the index of markers.
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

// setRead stores a row from a request that the operator sent at the given time.
func (v *inventory) setRead(authID string, r row, sentAt time.Time) {
	old, known := v.rows[authID]
	newest := old.at
	if !known {
		newest = v.lastSweep // the last sweep lacks it
	}
	if sentAt.Before(newest) {
		return
	}
	if r.digest == (plivo.Digest{}) {
		r.digest = old.digest // the list masks tokens; the digest comes from a get
	}
	if n, ok := v.notFound[authID]; ok {
		if !n.First.IsZero() && sentAt.After(n.Last) {
			n.First, n.Refuted = time.Time{}, n.Refuted+1
		}
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
	r.at = sentAt
	v.put(authID, r)
}

// setWritten stores a row that the operator has written.
func (v *inventory) setWritten(authID string, r row, endedAt time.Time) {
	r.at = endedAt
	v.put(authID, r)
}

func (v *inventory) setUpdated(authID, name string, enabled bool, endedAt time.Time) {
	r := v.rows[authID]
	r.name, r.enabled, r.updateUnconfirmed, r.deleted = name, enabled, false, false
	v.setWritten(authID, r, endedAt)
	delete(v.notFound, authID)
	e := v.nameForms[authID]
	if e.sent != name {
		e = nameForm{sent: name}
	}
	e.unread = true
	v.nameForms[authID] = e
}

func (v *inventory) setUpdateUnconfirmed(authID string, endedAt time.Time) {
	r := v.rows[authID]
	r.updateUnconfirmed = true
	v.setWritten(authID, r, endedAt)
}

func (v *inventory) setDeleted(authID string, endedAt time.Time) {
	v.setWritten(authID, row{deleted: true}, endedAt)
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

// endSweep ends a complete sweep: it removes the rows that the sweep has not shown.
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
		// Entries that no reconcile needs any more must not pile up. An entry must
		// live until the second of two sweeps, even with a long sweep interval.
		if last.Sub(n.Last) > forgetMissing {
			delete(v.notFound, authID)
		}
	}
}

// isMissing says whether neither the last complete sweep nor a later read or write
// shows a subaccount.
func (v *inventory) isMissing(authID string) bool {
	_, ok := v.rows[authID]
	return !ok
}

const forgetMissing = 24 * time.Hour

// readBack compares the name that the operator sent with the first name that it
// read afterwards.
func (e nameForm) readBack(name string) nameForm {
	e.unread = false
	switch {
	case name == e.sent:
		e.seen, e.repeats = "", 0
	case normalized(name) == normalized(e.sent):
		// Only whitespace or case differ: a person would not change that.
		e.seen, e.repeats = name, settledRepeats
	case name == e.seen:
		e.repeats++
	default:
		e.seen, e.repeats = name, 1
	}
	return e
}

// settledRepeats is how many equal reads prove that Plivo changes the name. After
// one read it may still be a person who changed the name at Plivo.
const settledRepeats = 2

// sentAs returns the sent name that Plivo stores as the given name; empty if there
// is none.
func (e nameForm) sentAs(name string) string {
	if e.repeats >= settledRepeats && e.seen == name {
		return e.sent
	}
	return ""
}

func normalized(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), "")) }
