package subaccount

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// memory is what this process knows of Subaccounts and the cluster does not.
// All of it can be lost: the protocol then finds out again.
type memory struct {
	mu      sync.Mutex
	entries map[types.UID]*entry
	uids    map[types.NamespacedName][]types.UID
	// claiming is which Subaccount's pass is about to claim an authID that none has.
	claiming map[string]types.UID
}

type entry struct {
	// response is the answer of a create call that is not recorded yet.
	response *heldResponse
	// refusedAttempt is the attempt that is known to have made nothing.
	refusedAttempt string
	// attempt that was pending when last seen, and when it was first seen.
	attempt      string
	pendingSince time.Time
	// confirmedClaim is the authID whose claim was judged ours on a live list.
	confirmedClaim string
	// contest counts how often something else undoes the writes of the Secret.
	contest contest
	// calls are the times of the last gets and updates.
	calls []time.Time
	// written is the resourceVersion of our last write, and writtenAt its time.
	written   string
	writtenAt time.Time
}

type heldResponse struct {
	plan.HeldResponse
	token plivo.Token
}

// staleFor bounds how long a cache that is older than our own last write is
// waited for: an etcd that was restored counts from an older version.
const staleFor = 10 * time.Second

func newMemory() *memory {
	return &memory{entries: map[types.UID]*entry{}, uids: map[types.NamespacedName][]types.UID{}, claiming: map[string]types.UID{}}
}

// update calls do with the entry of a resource, a new one if it has none.
func (m *memory) update(s *v1alpha1.Subaccount, do func(*entry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[s.UID]
	if e == nil {
		key := client.ObjectKeyFromObject(s)
		m.uids[key] = append(m.uids[key], s.UID)
		e = &entry{}
		m.entries[s.UID] = e
	}
	do(e)
}

// updateExisting calls do with the entry of a resource, if it has one.
func (m *memory) updateExisting(s *v1alpha1.Subaccount, do func(*entry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[s.UID]; e != nil {
		do(e)
	}
}

// get returns a copy of a resource's entry, as of its status: the first sight
// of a pending attempt is now, if it was not seen before. An entry that says
// nothing any more is dropped: most resources rest most of the time.
func (m *memory) get(s *v1alpha1.Subaccount, now time.Time) entry {
	var out entry
	if p := s.Status.PendingCreation; p != nil {
		m.update(s, func(e *entry) {
			if p.Attempt != e.attempt {
				e.attempt, e.pendingSince = p.Attempt, now
			}
		})
	}
	m.updateExisting(s, func(e *entry) {
		if e.response != nil && e.response.AuthID == s.Status.AuthID {
			e.response = nil
		}
		out = *e
		if s.Status.PendingCreation == nil && e.isIdle(now) {
			m.drop(client.ObjectKeyFromObject(s), s.UID)
		}
	})
	return out
}

// isIdle says whether the entry of a resource without a pending creation has
// nothing to say.
func (e *entry) isIdle(now time.Time) bool {
	return e.response == nil && e.confirmedClaim == "" && now.After(e.contest.endsAt()) &&
		now.Sub(e.writtenAt) > staleFor && (len(e.calls) == 0 || now.Sub(e.calls[len(e.calls)-1]) > callWindow)
}

// recordWrite remembers our own last write.
func (m *memory) recordWrite(s *v1alpha1.Subaccount) {
	m.update(s, func(e *entry) { e.written, e.writtenAt = s.ResourceVersion, time.Now() })
}

// isStale says whether an object of the cache is older than our own last write.
func (m *memory) isStale(s *v1alpha1.Subaccount) bool { return m.compareToWritten(s) < 0 }

// hasWritten says whether an object of the cache is our own last write or older.
func (m *memory) hasWritten(s *v1alpha1.Subaccount) bool { return m.compareToWritten(s) <= 0 }

// compareToWritten is negative if the object is older than our own last write, 0
// if it is that, and positive if it is newer or nothing was written lately.
func (m *memory) compareToWritten(s *v1alpha1.Subaccount) int {
	order := 1
	m.updateExisting(s, func(e *entry) {
		if e.written == "" || time.Since(e.writtenAt) > staleFor {
			return
		}
		if o, err := resourceversion.CompareResourceVersion(s.ResourceVersion, e.written); err == nil {
			order = o
		}
	})
	return order
}

// forget drops what is known of the resources that a name had, but for the one
// that has it now.
func (m *memory) forget(key types.NamespacedName, now types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, uid := range slices.Clone(m.uids[key]) {
		if uid != now {
			m.drop(key, uid)
		}
	}
}

// tryClaim says whether a Subaccount's pass may be the one that claims an authID,
// until asked ends that.
func (m *memory) tryClaim(authID string, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if by, ok := m.claiming[authID]; ok && by != uid {
		return false
	}
	m.claiming[authID] = uid
	return true
}

func (m *memory) endClaim(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.claiming, func(_ string, by types.UID) bool { return by == uid })
}

// drop forgets one resource. The memory is locked.
func (m *memory) drop(key types.NamespacedName, uid types.UID) {
	delete(m.entries, uid)
	left := slices.DeleteFunc(m.uids[key], func(u types.UID) bool { return u == uid })
	if m.uids[key] = left; len(left) == 0 {
		delete(m.uids, key)
	}
}
