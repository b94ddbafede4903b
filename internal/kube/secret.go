// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// AppliedAnnotation records what the operator set on a Secret. The operator removes
// what the spec no longer has, and keeps what others added.
const AppliedAnnotation = v1alpha1.Group + "/applied"

// Applied is the value of AppliedAnnotation.
type Applied struct {
	// Name is the name of the Secret. If omitted, it is the default name. A copy of
	// the Secret has another name than its annotation says.
	Name string `json:"name,omitempty"`
	// Labels and Annotations are the keys that the operator set.
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
	// Keys are the keys of the data. If omitted, they are DefaultKeys.
	Keys []string `json:"keys,omitempty"`
}

// DefaultKeys are the default keys of a Secret's data.
var DefaultKeys = []string{"auth_id", "auth_token"}

// ReadApplied returns the value of the annotation, or the defaults if it is missing
// or invalid. A tenant can edit it: the operator must use it only to decide what
// to remove from this Secret.
func ReadApplied(secret *corev1.Secret) Applied {
	var a Applied
	_ = json.Unmarshal([]byte(secret.Annotations[AppliedAnnotation]), &a)
	if len(a.Keys) != len(DefaultKeys) {
		a.Keys = DefaultKeys
	}
	return a
}

// IsCopy reports whether a Secret is a copy of the one that the operator wrote for a
// Subaccount: it has the annotation of that Secret, and another name.
func IsCopy(subaccountName string, secret *corev1.Secret) bool {
	return cmp.Or(ReadApplied(secret).Name, plan.DefaultSecretName(subaccountName)) != secret.Name
}

// digestedMark is the stringData of a cached Secret whose data are digests. An
// informer may transform an object twice, and a digest must not be digested again.
// The API server never returns stringData.
var digestedMark = map[string]string{"": "digested"}

// maxForeignKeys is the number of data keys up to which the cache keeps all keys of
// a Secret. Above it, the cache keeps only the keys that the operator wrote.
const maxForeignKeys = 16

// HasDigests reports whether the data of a Secret are digests, as in the cache.
func HasDigests(secret *corev1.Secret) bool { return secret.StringData != nil }

// DigestSecret returns a cache transform. The cache then has digests in place of
// tokens, and no metadata that others can make large.
func DigestSecret(d *plivo.Digester) func(any) (any, error) {
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok || HasDigests(secret) {
			return obj, nil
		}
		applied := ReadApplied(secret)
		keys, data := applied.Keys, map[string][]byte{}
		if len(secret.Data) <= maxForeignKeys {
			keys = slices.Collect(maps.Keys(secret.Data))
		}
		for _, key := range keys {
			if value, ok := secret.Data[key]; ok {
				digest := d.Digest(value)
				data[key] = digest[:]
			}
		}
		secret.Data, secret.StringData = data, digestedMark
		secret.ManagedFields, secret.Finalizers = nil, nil
		keepOnly(secret.Labels, append(applied.Labels, v1alpha1.ManagedByLabel))
		keepOnly(secret.Annotations, append(applied.Annotations, AppliedAnnotation))
		return secret, nil
	}
}

func keepOnly(m map[string]string, keys []string) {
	kept := sets.New(keys...) // a tenant may have written thousands of keys
	maps.DeleteFunc(m, func(key, _ string) bool { return !kept.Has(key) })
}
