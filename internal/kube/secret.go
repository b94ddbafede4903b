package kube

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// AppliedAnnotation lists what the operator has put on a Secret, so that what
// leaves the spec leaves the Secret, and what others add stays.
const AppliedAnnotation = v1alpha1.Group + "/applied"

// Applied is the value of AppliedAnnotation.
type Applied struct {
	// Name of the Secret, if it is another than the default one. A copy of the
	// Secret has another name.
	Name        string   `json:"name,omitempty"`
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
	// Keys of the data, if they are others than the default ones.
	Keys []string `json:"keys,omitempty"`
}

// DefaultKeys of a Secret's data.
var DefaultKeys = []string{"auth_id", "auth_token"}

// ReadApplied reads the annotation of a Secret. What somebody wrote there by hand is no more
// than a list of what to take off this one Secret.
func ReadApplied(secret *corev1.Secret) Applied {
	var a Applied
	_ = json.Unmarshal([]byte(secret.Annotations[AppliedAnnotation]), &a)
	if a.Keys == nil {
		a.Keys = DefaultKeys
	}
	return a
}

// IsCopy says whether somebody else has made a Secret, with its labels, annotations
// and owners, from the one that the operator wrote for a Subaccount.
func IsCopy(subaccountName string, secret *corev1.Secret) bool {
	return cmp.Or(ReadApplied(secret).Name, plan.DefaultSecretName(subaccountName)) != secret.Name
}

// digested marks a Secret of the cache whose data are digests: informers may
// transform an object that they have transformed before. The API server never
// answers with stringData.
var digested = map[string]string{"": "digested"}

// keysKept is how many keys a Secret without a record of its keys may have for
// the cache to keep them.
const keysKept = 16

// HasDigests says whether the data of a Secret are digests, as the cache has them.
func HasDigests(secret *corev1.Secret) bool { return secret.StringData != nil }

// DigestSecret is a cache transform. It keeps what the operator has put on a
// Secret, with digests in place of the data: no token of a tenant, and nothing
// that others can make large.
func DigestSecret(d *plivo.Digester) func(any) (any, error) {
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok || HasDigests(secret) {
			return obj, nil
		}
		ours := ReadApplied(secret)
		data := map[string][]byte{}
		for key, value := range secret.Data {
			if slices.Contains(ours.Keys, key) || len(secret.Data) <= keysKept {
				digest := d.Digest(value)
				data[key] = digest[:]
			}
		}
		secret.Data, secret.StringData = data, digested
		secret.ManagedFields, secret.Finalizers = nil, nil
		keep(secret.Labels, append(ours.Labels, v1alpha1.ManagedByLabel))
		keep(secret.Annotations, append(ours.Annotations, AppliedAnnotation))
		return secret, nil
	}
}

func keep(m map[string]string, keys []string) {
	maps.DeleteFunc(m, func(key, _ string) bool { return !slices.Contains(keys, key) })
}
