// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
)

// Remote is one subaccount at Plivo, as the command list prints it.
type Remote struct {
	AuthID  string `json:"authID"`
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	// Created and Modified are dates; Modified is empty until the first update.
	Created  string `json:"created"`
	Modified string `json:"modified,omitempty"`
	// Unfinished says whether the name is a marker: the operator of this or another
	// cluster has created the subaccount and not finished. It cannot be adopted.
	Unfinished bool `json:"unfinished,omitempty"`
	// ManagedBy is the Subaccount that manages it; nil if none does.
	ManagedBy *Manager `json:"managedBy,omitempty"`
}

// Manager is the Subaccount that manages a subaccount, with its Ready condition.
type Manager struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Ready     string `json:"ready,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// RemoteList is what the command list prints as JSON and YAML. It has the form of a list
// of resources, but no API serves it.
type RemoteList struct {
	metav1.TypeMeta `json:",inline"`
	Items           []Remote `json:"items"`
}

// NewRemoteList returns a list of subaccounts, sorted by name and auth ID.
func NewRemoteList(remotes []Remote) *RemoteList {
	l := &RemoteList{Items: slices.SortedFunc(slices.Values(remotes), func(a, b Remote) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.AuthID, b.AuthID))
	})}
	if l.Items == nil {
		l.Items = []Remote{} // as [], not null
	}
	l.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RemoteSubaccountList"))
	return l
}

// DeepCopyObject implements runtime.Object.
func (l *RemoteList) DeepCopyObject() runtime.Object {
	return &RemoteList{TypeMeta: l.TypeMeta, Items: slices.Clone(l.Items)}
}

// FindManagers sets the manager of each subaccount. all are the Subaccounts of the
// cluster. The caller MUST read them after Plivo's list: otherwise a subaccount that the
// operator creates in between looks unmanaged.
//
// The manager is the Subaccount that holds the auth ID in its status. If the name is a
// marker, it is the Subaccount of the marker, unless that has another auth ID. A
// Subaccount that has the auth ID only in its spec is not the manager.
func FindManagers(remotes []Remote, all []v1alpha1.Subaccount) {
	recorded := map[string][]v1alpha1.Subaccount{}
	creating := map[types.UID]*v1alpha1.Subaccount{}
	for i := range all {
		s := &all[i]
		if isFinalized(s) {
			continue
		}
		if s.Status.AuthID != "" {
			recorded[s.Status.AuthID] = append(recorded[s.Status.AuthID], *s)
		}
		if s.Status.AuthID == "" || s.Status.PendingCreation != nil {
			creating[s.UID] = s
		}
	}
	for i := range remotes {
		r := &remotes[i]
		claimants := recorded[r.AuthID]
		for j := range claimants {
			if plan.IsClaimHolder(&claimants[j], claimants) {
				r.ManagedBy = manager(&claimants[j])
			}
		}
		uid, unfinished := plan.ParseMarker(r.Name)
		if r.Unfinished = unfinished; unfinished && r.ManagedBy == nil && creating[uid] != nil {
			r.ManagedBy = manager(creating[uid])
		}
	}
}

// isFinalized says whether the operator has removed its finalizer from a terminating
// Subaccount, which another finalizer still keeps.
func isFinalized(s *v1alpha1.Subaccount) bool {
	return s.DeletionTimestamp != nil && !slices.Contains(s.Finalizers, v1alpha1.Finalizer)
}

func manager(s *v1alpha1.Subaccount) *Manager {
	m := &Manager{Namespace: s.Namespace, Name: s.Name}
	if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		m.Ready, m.Reason = string(ready.Status), ready.Reason
	}
	return m
}

// Unmanaged returns the subaccounts that no resource manages.
func Unmanaged(remotes []Remote) []Remote {
	return slices.DeleteFunc(slices.Clone(remotes), func(r Remote) bool { return r.ManagedBy != nil })
}

// Changes returns the subaccounts that are new or different in after, and those that only
// before has.
func Changes(before, after []Remote) (changed, gone []Remote) {
	known := map[string]Remote{}
	for _, r := range before {
		known[r.AuthID] = r
	}
	for _, r := range after {
		if old, ok := known[r.AuthID]; !ok || !reflect.DeepEqual(old, r) {
			changed = append(changed, r)
		}
		delete(known, r.AuthID)
	}
	return changed, NewRemoteList(slices.Collect(maps.Values(known))).Items
}
