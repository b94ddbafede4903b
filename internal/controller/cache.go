package controller

import (
	"context"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

// CacheOptions restrict the manager's cache to what is ours: Subaccounts in the
// given namespaces (none: all) and our own Secrets in secretsIn (none: all),
// these with digests in place of data.
func CacheOptions(namespaces, secretsIn []string, digester *plivo.Digester) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.Subaccount{}: {Namespaces: limit(namespaces), Transform: stripSubaccount},
			&corev1.Secret{}: {
				Namespaces: limit(secretsIn),
				Label:      labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}),
				Transform:  digestSecret(digester),
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

// stripSubaccount is a cache transform: it strips what nobody here reads, and
// what a tenant can make as large as a resource may be. What is patched is only
// what differs, so that nothing of it is lost.
func stripSubaccount(obj any) (any, error) {
	s, ok := obj.(*v1alpha1.Subaccount)
	if !ok {
		return obj, nil
	}
	asked, ok := s.Annotations[v1alpha1.ReconcileRequestedAtAnnotation]
	s.ManagedFields, s.Labels, s.Annotations = nil, nil, nil
	if ok {
		s.Annotations = map[string]string{v1alpha1.ReconcileRequestedAtAnnotation: asked}
	}
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

// CredentialsCacheOptions are those of a second cache, for the Secrets of the
// operator's own namespace, with their data.
func CredentialsCacheOptions(operatorNamespace string) cache.Options {
	return cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: map[string]cache.Config{operatorNamespace: {}},
	}
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.Subaccount{}, indexAccount, func(o client.Object) []string {
		return []string{o.(*v1alpha1.Subaccount).Spec.AccountRef.Name}
	}); err != nil {
		return err
	}
	return indexer.IndexField(ctx, &v1alpha1.Subaccount{}, indexAuthID, func(o client.Object) []string {
		if id := subaccount.Claimed(o.(*v1alpha1.Subaccount)); id != "" {
			return []string{id}
		}
		return nil
	})
}
