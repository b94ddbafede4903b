// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// CacheOptions limits the manager's cache to Subaccounts in namespaces and to the
// operator's own Secrets in secretsIn. If a list is empty, it means all
// namespaces. The cache has digests in place of the data of Secrets.
func CacheOptions(namespaces, secretsIn []string, digester *plivo.Digester) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.Account{}:    {Transform: stripAccount},
			&v1alpha1.Subaccount{}: {Namespaces: perNamespace(namespaces), Transform: StripSubaccount},
			&corev1.Secret{}: {
				Namespaces: perNamespace(secretsIn),
				Label:      labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}),
				Transform:  DigestSecret(digester),
			},
		},
	}
}

func perNamespace(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, ns := range namespaces {
		all[ns] = cache.Config{}
	}
	return all
}

// StripSubaccount is a cache transform. It removes metadata that the operator does
// not read, because a tenant can make it large. A patch contains only
// differences, so it does not remove that metadata from the resource.
func StripSubaccount(obj any) (any, error) {
	s, ok := obj.(*v1alpha1.Subaccount)
	if !ok {
		return obj, nil
	}
	s.ManagedFields, s.Labels, s.OwnerReferences = nil, nil, nil
	stripAnnotations(s, v1alpha1.ReconcileRequestedAtAnnotation)
	// Thousands of resources have the same texts: keep one copy of each.
	intern := func(text *string) { *text = unique.Make(*text).Value() }
	intern(&s.APIVersion)
	intern(&s.Kind)
	s.Status.Conditions = slices.Clone(s.Status.Conditions)
	for i := range s.Status.Conditions {
		c := &s.Status.Conditions[i]
		intern(&c.Type)
		intern(&c.Reason)
		intern(&c.Message)
		intern((*string)(&c.Status))
	}
	return s, nil
}

func stripAccount(obj any) (any, error) {
	if a, ok := obj.(*v1alpha1.Account); ok {
		a.ManagedFields, a.OwnerReferences = nil, nil
		stripAnnotations(a, v1alpha1.ReconcileRequestedAtAnnotation, v1alpha1.ConfirmDisappearanceAnnotation)
	}
	return obj, nil
}

// maxAnnotationLength is the length in bytes above which the cache has a digest of
// an annotation's value. The operator only compares the value with the last one.
const maxAnnotationLength = 256

func stripAnnotations(obj client.Object, kept ...string) {
	var annotations map[string]string
	for _, key := range kept {
		value, ok := obj.GetAnnotations()[key]
		if !ok {
			continue
		}
		if len(value) > maxAnnotationLength {
			value = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
	}
	obj.SetAnnotations(annotations)
}

// CredentialsCacheOptions are the options of a second cache, for the Secrets in the
// operator's namespace. It keeps only the credentials, because the namespace may
// have large Secrets, such as the releases of Helm.
func CredentialsCacheOptions(operatorNamespace string) cache.Options {
	return cache.Options{
		DefaultTransform:  keepCredentials,
		DefaultNamespaces: map[string]cache.Config{operatorNamespace: {}},
	}
}

func keepCredentials(obj any) (any, error) {
	if secret, ok := obj.(*corev1.Secret); ok {
		secret.Data = plivo.CredentialKeys(secret.Data)
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID, ResourceVersion: secret.ResourceVersion}
	}
	return obj, nil
}

const (
	// IndexAccount indexes Subaccounts by the name of their Account.
	IndexAccount = "spec.accountRef.name"
	// IndexAuthID indexes Subaccounts by the authID that they claim.
	IndexAuthID = "status.authID,spec.authID"
	// IndexOwner indexes Secrets by the UIDs of their owners. It has only Secrets
	// that the operator wrote under a name other than the default one.
	IndexOwner = "renamed"
	// SelectAuthID is no index but a field selector of the API server.
	SelectAuthID = "status.authID"
)

// AddIndexes adds the indexes to the cache.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.Subaccount{}, IndexAccount, func(o client.Object) []string {
		return []string{o.(*v1alpha1.Subaccount).Spec.AccountRef.Name}
	}); err != nil {
		return err
	}
	if err := indexer.IndexField(ctx, &v1alpha1.Subaccount{}, IndexAuthID, func(o client.Object) []string {
		if id := plan.ClaimedAuthID(o.(*v1alpha1.Subaccount)); id != "" {
			return []string{id}
		}
		return nil
	}); err != nil {
		return err
	}
	return indexer.IndexField(ctx, &corev1.Secret{}, IndexOwner, func(o client.Object) []string {
		secret, uids := o.(*corev1.Secret), []string(nil)
		if ReadApplied(secret).Name != secret.Name { // the default name, or a copy
			return nil
		}
		for _, owner := range secret.OwnerReferences {
			uids = append(uids, string(owner.UID))
		}
		return uids
	})
}
