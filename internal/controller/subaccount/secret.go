package subaccount

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/logging"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// staleKeys are the keys of the data that an earlier spec wanted.
func staleKeys(s *v1alpha1.Subaccount, secret *corev1.Secret) []string {
	wanted := s.Spec.Secret.Keys
	return slices.DeleteFunc(slices.Clone(kube.ReadApplied(secret).Keys), func(key string) bool {
		return key == wanted.AuthID || key == wanted.AuthToken || secret.Data[key] == nil
	})
}

// secretFacts says what matters of a Secret to the Subaccount s.
func (r *Reconciler) secretFacts(s *v1alpha1.Subaccount, secret *corev1.Secret) plan.Secret {
	digest := r.Digester.Digest
	if kube.HasDigests(secret) {
		digest = func(value []byte) (d plivo.Digest) { copy(d[:], value); return d }
	}
	keys := s.Spec.Secret.Keys
	facts := plan.Secret{
		Owned:       owns(s, secret),
		TokenDigest: digest(secret.Data[keys.AuthToken]),
		Sound: secret.Type == corev1.SecretTypeOpaque && !ptr.Deref(secret.Immutable, false) &&
			secret.Data[keys.AuthID] != nil && secret.Data[keys.AuthToken] != nil && len(staleKeys(s, secret)) == 0,
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
	before, now := kube.ReadApplied(secret), kube.Applied{}
	drop := func(m map[string]string, keys []string) {
		for _, key := range keys {
			delete(m, key)
		}
	}
	drop(secret.Labels, before.Labels)
	drop(secret.Annotations, append(before.Annotations, kube.AppliedAnnotation))
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
	if keys := []string{s.Spec.Secret.Keys.AuthID, s.Spec.Secret.Keys.AuthToken}; !slices.Equal(keys, kube.DefaultKeys) {
		now.Keys = keys
	}
	if secret.Name != plan.DefaultSecretName(s.Name) {
		now.Name = secret.Name
	}
	if now.Name != "" || len(now.Labels)+len(now.Annotations)+len(now.Keys) > 0 {
		text, _ := json.Marshal(now) // lists of strings cannot fail
		secret.Annotations[kube.AppliedAnnotation] = string(text)
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

// writeSecret writes the Secret: its credentials if they are not as they should
// be, and its metadata. It creates, or updates what it has just read; it never
// takes over what appears in between.
func (p *pass) writeSecret(ctx context.Context) error {
	s, name := p.o.Object, plan.SecretName(p.o.Object)
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
	p.inSecret = maps.Clone(secret.Data) // as it was read: below, it changes
	if !p.o.TokenInHand && !p.tokenOf(secret) {
		return conflict("the Secret " + name + " has another token by now")
	}
	if secret.Type != corev1.SecretTypeOpaque || ptr.Deref(secret.Immutable, false) {
		// Neither can be changed in place.
		if err := p.r.Client.Delete(ctx, secret, exactly(secret)); err != nil {
			return err
		}
		return p.createSecret(ctx, name)
	}
	by := otherManagers(secret, s.Spec.Secret.Keys)
	for _, key := range staleKeys(s, secret) {
		delete(secret.Data, key)
	}
	setSecretMetadata(s, secret)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, p.secretData())
	if err := p.r.Client.Update(ctx, secret); err != nil {
		return err
	}
	p.wroteSecret(ctx, secret, by)
	return nil
}

// wroteSecret folds in what the API server has made of a write.
func (p *pass) wroteSecret(ctx context.Context, secret *corev1.Secret, by string) {
	log.FromContext(ctx).Info("Wrote the Secret", logging.Secret, secret.Name, logging.AuthID, p.o.Object.Status.AuthID)
	p.foldSecret(secret)
	facts, _ := p.o.Secret.Get()
	asSent := facts.Sound && facts.Labelled && facts.AuthID == p.o.Object.Status.AuthID &&
		facts.TokenDigest == p.r.Digester.Digest([]byte(p.token.Reveal()))
	p.r.memory.with(p.o.Object, func(e *entry) {
		e.contest.wrote(by, !asSent, time.Now())
		p.o.ContestedUntil, p.o.ContestedBy = e.contest.until, e.contest.by
	})
}

// tokenOf takes the token from the Secret itself, if it is the one that the
// decision to write was based on: that spares a call to Plivo.
func (p *pass) tokenOf(secret *corev1.Secret) bool {
	seen, _ := p.o.Secret.Get()
	token := secret.Data[p.o.Object.Spec.Secret.Keys.AuthToken]
	p.token = plivo.NewToken(string(token))
	return len(token) > 0 && p.r.Digester.Digest(token) == seen.TokenDigest
}

func (p *pass) createSecret(ctx context.Context, name string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.o.Object.Namespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
		Data:       p.secretData(),
	}
	setSecretMetadata(p.o.Object, secret)
	if err := p.r.Client.Create(ctx, secret); err != nil {
		p.o.Secret = plan.Unknown[plan.Secret]()
		return err
	}
	p.wroteSecret(ctx, secret, "")
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
	p.o.Secret = plan.Known(p.r.secretFacts(p.o.Object, secret))
}

// removeSecret deletes a Secret that this resource owns.
func (p *pass) removeSecret(ctx context.Context, name string) error {
	s := p.o.Object
	secret := &corev1.Secret{}
	err := p.r.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret)
	if err == nil && owns(s, secret) && !kube.IsCopy(s.Name, secret) {
		err = p.r.Client.Delete(ctx, secret, exactly(secret))
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if name == plan.SecretName(s) {
		p.o.Secret = plan.Absent[plan.Secret]()
	} else {
		p.o.OldSecret = ""
	}
	return nil
}

// exactly limits a deletion to the object as it was read.
func exactly(obj client.Object) client.Preconditions {
	return client.Preconditions{UID: ptr.To(obj.GetUID()), ResourceVersion: ptr.To(obj.GetResourceVersion())}
}
