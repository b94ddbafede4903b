package controller

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/subaccount"
)

// appliedAnnotation lists the labels and annotations that came from the spec,
// so that those that leave the spec leave the Secret, and others' stay.
const appliedAnnotation = v1alpha1.Group + "/applied"

// digested marks a Secret of the cache whose data are digests: informers may
// transform an object that they have transformed before. The API server never
// answers with stringData.
var digested = map[string]string{"": "digested"}

// keysKept is how many keys a Secret may have for the cache to keep them. One
// of ours has two; what has more is written anew in any case, and must not cost
// more memory than it is worth.
const keysKept = 16

// digestSecret is a cache transform: it puts digests in place of the data of
// Secrets and strips what nobody here reads. No token of a tenant is kept.
func digestSecret(d *plivo.Digester) func(any) (any, error) {
	return func(obj any) (any, error) {
		secret, ok := obj.(*corev1.Secret)
		if !ok || secret.StringData != nil {
			return obj, nil
		}
		secret.ManagedFields, secret.StringData = nil, digested
		if len(secret.Data) > keysKept {
			secret.Data = nil
		}
		for key, value := range secret.Data {
			digest := d.Digest(value)
			secret.Data[key] = digest[:]
		}
		return secret, nil
	}
}

// secretFacts says what matters of a Secret to the Subaccount s.
func (r *SubaccountReconciler) secretFacts(s *v1alpha1.Subaccount, secret *corev1.Secret) subaccount.Secret {
	digest := r.Digester.Digest
	if secret.StringData != nil {
		digest = func(value []byte) (d plivo.Digest) { copy(d[:], value); return d }
	}
	keys := s.Spec.Secret.Keys
	facts := subaccount.Secret{
		Owned:       owns(s, secret),
		TokenDigest: digest(secret.Data[keys.AuthToken]),
		Sound: secret.Type == corev1.SecretTypeOpaque && !ptr.Deref(secret.Immutable, false) &&
			len(secret.Data) == 2 && secret.Data[keys.AuthID] != nil && secret.Data[keys.AuthToken] != nil,
	}
	if id := s.Status.AuthID; id != "" && digest(secret.Data[keys.AuthID]) == r.Digester.Digest([]byte(id)) {
		facts.AuthID = id
	}
	wanted := secret.DeepCopy()
	setSecretMetadata(s, wanted)
	facts.Labelled = equality.Semantic.DeepEqual(wanted.ObjectMeta, secret.ObjectMeta)
	return facts
}

// owns says whether a Secret is a Subaccount's, by UID: its controller, or one
// of its owners where it has no controller.
func owns(s *v1alpha1.Subaccount, secret *corev1.Secret) bool {
	if controller := metav1.GetControllerOf(secret); controller != nil {
		return controller.UID == s.UID
	}
	return slices.ContainsFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == s.UID })
}

// setSecretMetadata puts labels, annotations and the owner reference on a
// Secret and takes off those that an earlier spec had put there.
func setSecretMetadata(s *v1alpha1.Subaccount, secret *corev1.Secret) {
	var before, now struct {
		Labels      []string `json:"labels,omitempty"`
		Annotations []string `json:"annotations,omitempty"`
	}
	// What somebody wrote into the annotation by hand is no more than a list of
	// keys to take off this one Secret.
	_ = json.Unmarshal([]byte(secret.Annotations[appliedAnnotation]), &before)
	drop := func(m map[string]string, keys []string) {
		for _, key := range keys {
			delete(m, key)
		}
	}
	drop(secret.Labels, before.Labels)
	drop(secret.Annotations, append(before.Annotations, appliedAnnotation))
	put := func(m *map[string]string, from map[string]string) {
		if *m == nil {
			*m = map[string]string{}
		}
		maps.Copy(*m, from)
	}
	put(&secret.Labels, s.Spec.Secret.Labels)
	put(&secret.Labels, map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue})
	put(&secret.Annotations, s.Spec.Secret.Annotations)
	now.Labels = slices.Sorted(maps.Keys(s.Spec.Secret.Labels))
	now.Annotations = slices.Sorted(maps.Keys(s.Spec.Secret.Annotations))
	if len(now.Labels)+len(now.Annotations) > 0 {
		applied, _ := json.Marshal(now) // two lists of strings cannot fail
		secret.Annotations[appliedAnnotation] = string(applied)
	}
	owner := *metav1.NewControllerRef(s, v1alpha1.GroupVersion.WithKind("Subaccount"))
	for i, o := range secret.OwnerReferences {
		if o.UID == s.UID {
			secret.OwnerReferences[i] = owner
			return
		}
	}
	secret.OwnerReferences = append(secret.OwnerReferences, owner)
}

// writeSecret writes the Secret: all of it with the token, its metadata only
// without. It creates, or updates what it has just read; it never takes over
// what appears in between.
func (p *pass) writeSecret(ctx context.Context) error {
	s, name := p.o.Object, subaccount.SecretName(p.o.Object)
	if p.o.Secret.IsAbsent() {
		return p.createSecret(ctx, name)
	}
	secret := &corev1.Secret{}
	if err := p.r.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret); err != nil {
		return err
	}
	if !owns(s, secret) {
		return conflict("the Secret " + name + " is another one by now")
	}
	if p.o.TokenInHand && (secret.Type != corev1.SecretTypeOpaque || ptr.Deref(secret.Immutable, false)) {
		// Neither can be changed in place.
		if err := p.r.Client.Delete(ctx, secret, exactly(secret)); err != nil {
			return err
		}
		return p.createSecret(ctx, name)
	}
	setSecretMetadata(s, secret)
	if p.o.TokenInHand {
		secret.Data = p.secretData()
	}
	if err := p.r.Client.Update(ctx, secret); err != nil {
		return err
	}
	p.foldSecret(secret)
	return nil
}

func (p *pass) createSecret(ctx context.Context, name string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.o.Object.Namespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
		Data:       p.secretData(),
	}
	setSecretMetadata(p.o.Object, secret)
	if err := p.r.Client.Create(ctx, secret); err != nil {
		p.o.Secret = subaccount.Unknown[subaccount.Secret]()
		return err
	}
	p.foldSecret(secret)
	return nil
}

func (p *pass) secretData() map[string][]byte {
	keys := p.o.Object.Spec.Secret.Keys
	return map[string][]byte{
		keys.AuthID:    []byte(p.o.Object.Status.AuthID),
		keys.AuthToken: []byte(p.token.Reveal()),
	}
}

func (p *pass) foldSecret(secret *corev1.Secret) {
	p.o.Secret = subaccount.Known(p.r.secretFacts(p.o.Object, secret))
}

// removeSecret deletes a Secret that this resource owns.
func (p *pass) removeSecret(ctx context.Context, name string) error {
	s := p.o.Object
	secret := &corev1.Secret{}
	err := p.r.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret)
	if err == nil && owns(s, secret) {
		err = p.r.Client.Delete(ctx, secret, exactly(secret))
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	p.o.OldSecrets = slices.DeleteFunc(p.o.OldSecrets, func(n string) bool { return n == name })
	if name == subaccount.SecretName(s) {
		p.o.Secret = subaccount.Absent[subaccount.Secret]()
	}
	return nil
}

// exactly limits a deletion to the object as it was read.
func exactly(obj client.Object) client.Preconditions {
	return client.Preconditions{UID: ptr.To(obj.GetUID()), ResourceVersion: ptr.To(obj.GetResourceVersion())}
}
