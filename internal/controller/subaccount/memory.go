// SPDX-License-Identifier: Apache-2.0

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

// memory is what this process knows about Subaccounts and the cluster does not
// store. A restart may lose all of it: the creation protocol does not depend on
// it for correctness (docs/decisions/001-exactly-one.md).
type memory struct {
	mu    sync.Mutex
	byUID map[types.UID]*resourceMemory
	uids  map[types.NamespacedName][]types.UID
	// claiming maps an authID that no Subaccount holds to the one that is being
	// reconciled to claim it.
	claiming map[string]types.UID
}

// resourceMemory is what this process knows about one Subaccount.
type resourceMemory struct {
	// response is the response to a create call that is not recorded yet.
	response *heldResponse
	// refusedAttempt is an attempt that is known to have created nothing.
	refusedAttempt string
	// attempt is the pending attempt that this process observed last, and
	// pendingSince the time when it first observed it.
	attempt      string
	pendingSince time.Time
	// confirmedClaim is the authID that a live list showed this resource to hold.
	confirmedClaim string
	// contest counts how often something else undoes the writes of the Secret.
	contest contest
	// calls are the times of the gets and updates within callWindow.
	calls []time.Time
	// written is the resourceVersion of the last write by this process, and
	// writtenAt its time.
	written   string
	writtenAt time.Time
}

type heldResponse struct {
	plan.HeldResponse
	token plivo.Token
}

// maxCacheLag bounds how long a reconcile waits for the cache to show the last
// write by this process. After a restore of etcd, resource versions may be lower
// than the one of that write.
const maxCacheLag = 10 * time.Second

func newMemory() *memory {
	return &memory{byUID: map[types.UID]*resourceMemory{}, uids: map[types.NamespacedName][]types.UID{}, claiming: map[string]types.UID{}}
}

// update calls do with the memory of a resource, which it creates if needed.
func (m *memory) update(s *v1alpha1.Subaccount, do func(*resourceMemory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rm := m.byUID[s.UID]
	if rm == nil {
		key := client.ObjectKeyFromObject(s)
		m.uids[key] = append(m.uids[key], s.UID)
		rm = &resourceMemory{}
		m.byUID[s.UID] = rm
	}
	do(rm)
}

// updateExisting calls do with the memory of a resource, if there is any.
func (m *memory) updateExisting(s *v1alpha1.Subaccount, do func(*resourceMemory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if rm := m.byUID[s.UID]; rm != nil {
		do(rm)
	}
}

// get brings the memory of a resource up to date with its status and returns a
// copy. A pending attempt that is new to this process is pending since now. get
// drops a memory that is idle, because most resources are idle most of the time.
func (m *memory) get(s *v1alpha1.Subaccount, now time.Time) resourceMemory {
	var out resourceMemory
	if p := s.Status.PendingCreation; p != nil {
		m.update(s, func(rm *resourceMemory) {
			if p.Attempt != rm.attempt {
				rm.attempt, rm.pendingSince = p.Attempt, now
			}
		})
	}
	m.updateExisting(s, func(rm *resourceMemory) {
		if rm.response != nil && rm.response.AuthID == s.Status.AuthID {
			rm.response = nil
		}
		out = *rm
		if s.Status.PendingCreation == nil && rm.isIdle(now) {
			m.dropLocked(client.ObjectKeyFromObject(s), s.UID)
		}
	})
	return out
}

// isIdle reports whether the memory of a resource without a pending creation
// has no influence on a reconcile.
func (rm *resourceMemory) isIdle(now time.Time) bool {
	hasRecentCall := len(rm.calls) > 0 && now.Sub(rm.calls[len(rm.calls)-1]) <= callWindow
	hasRecentWrite := now.Sub(rm.writtenAt) <= maxCacheLag
	return rm.response == nil && rm.confirmedClaim == "" && !hasRecentCall && !hasRecentWrite && now.After(rm.contest.endsAt())
}

// recordWrite stores the resourceVersion of the last write by this process.
func (m *memory) recordWrite(s *v1alpha1.Subaccount) {
	m.update(s, func(rm *resourceMemory) { rm.written, rm.writtenAt = s.ResourceVersion, time.Now() })
}

// isStale reports whether an object of the cache is older than the last write
// by this process.
func (m *memory) isStale(s *v1alpha1.Subaccount) bool { return m.compareToWritten(s) < 0 }

// hasWritten reports whether an object of the cache is the last write by this
// process, or older.
func (m *memory) hasWritten(s *v1alpha1.Subaccount) bool { return m.compareToWritten(s) <= 0 }

// compareToWritten compares an object of the cache to the last write by this
// process: -1 if it is older, 0 if it is the same, 1 if it is newer. It returns
// 1 if there was no write within maxCacheLag.
func (m *memory) compareToWritten(s *v1alpha1.Subaccount) int {
	order := 1
	m.updateExisting(s, func(rm *resourceMemory) {
		if rm.written == "" || time.Since(rm.writtenAt) > maxCacheLag {
			return
		}
		if o, err := resourceversion.CompareResourceVersion(s.ResourceVersion, rm.written); err == nil {
			order = o
		}
	})
	return order
}

// forgetExcept drops the memory of all resources that had a name, except the
// one with the given UID.
func (m *memory) forgetExcept(key types.NamespacedName, current types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, uid := range slices.Clone(m.uids[key]) {
		if uid != current {
			m.dropLocked(key, uid)
		}
	}
}

// tryClaim reports whether a Subaccount may claim an authID that no Subaccount
// holds. If so, no other one may until endClaim.
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

// dropLocked drops the memory of one resource. The caller must hold m.mu.
func (m *memory) dropLocked(key types.NamespacedName, uid types.UID) {
	delete(m.byUID, uid)
	left := slices.DeleteFunc(m.uids[key], func(u types.UID) bool { return u == uid })
	if m.uids[key] = left; len(left) == 0 {
		delete(m.uids, key)
	}
}
