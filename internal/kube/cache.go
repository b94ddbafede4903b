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

// CacheOptions restrict the manager's cache to what is ours: Subaccounts in the
// given namespaces (none: all) and our own Secrets in secretsIn (none: all),
// these with digests in place of data.
func CacheOptions(namespaces, secretsIn []string, digester *plivo.Digester) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.Account{}:    {Transform: stripAccount},
			&v1alpha1.Subaccount{}: {Namespaces: limit(namespaces), Transform: StripSubaccount},
			&corev1.Secret{}: {
				Namespaces: limit(secretsIn),
				Label:      labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}),
				Transform:  DigestSecret(digester),
			},
		},
	}
}

func limit(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, ns := range namespaces {
		all[ns] = cache.Config{}
	}
	return all
}

// StripSubaccount is a cache transform: it strips what nobody here reads, and
// what a tenant can make as large as a resource may be. What is patched is only
// what differs, so that nothing of it is lost.
func StripSubaccount(obj any) (any, error) {
	s, ok := obj.(*v1alpha1.Subaccount)
	if !ok {
		return obj, nil
	}
	s.ManagedFields, s.Labels, s.OwnerReferences = nil, nil, nil
	stripAnnotations(s, v1alpha1.ReconcileRequestedAtAnnotation)
	// Thousands say the same.
	once := func(text *string) { *text = unique.Make(*text).Value() }
	once(&s.APIVersion)
	once(&s.Kind)
	s.Status.Conditions = slices.Clone(s.Status.Conditions)
	for i := range s.Status.Conditions {
		c := &s.Status.Conditions[i]
		once(&c.Type)
		once(&c.Reason)
		once(&c.Message)
		once((*string)(&c.Status))
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

// longestRequest is the length from which the value of an annotation is kept as
// its digest: it is only compared with the last one.
const longestRequest = 256

func stripAnnotations(obj client.Object, kept ...string) {
	var annotations map[string]string
	for _, key := range kept {
		value, ok := obj.GetAnnotations()[key]
		if !ok {
			continue
		}
		if len(value) > longestRequest {
			value = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
	}
	obj.SetAnnotations(annotations)
}

// CredentialsCacheOptions are those of a second cache, for the Secrets of the
// operator's own namespace. It keeps the credentials in them and nothing else:
// others keep large Secrets there too, such as Helm its releases.
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

// Indexes of the caches, and a field selector.
const (
	IndexAccount = "spec.accountRef.name"      // of Subaccounts
	IndexAuthID  = "status.authID,spec.authID" // of Subaccounts: the one that they claim
	SelectAuthID = "status.authID"             // of Subaccounts, at the API server: a selectable field of the CRD
	IndexOwner   = "renamed"                   // of Secrets that the operator wrote under another name than the default one: the UIDs of their owners
)

// AddIndexes adds the indexes that the reconcilers read by.
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
		for _, owner := range secret.OwnerReferences {
			if ReadApplied(secret).Name != "" && !IsCopy(owner.Name, secret) {
				uids = append(uids, string(owner.UID))
			}
		}
		return uids
	})
}
