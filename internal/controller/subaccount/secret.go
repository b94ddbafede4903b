// SPDX-License-Identifier: Apache-2.0

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

// staleKeys returns the data keys that the operator wrote for an earlier spec and
// that the current spec does not have.
func staleKeys(s *v1alpha1.Subaccount, secret *corev1.Secret) []string {
	wanted := s.Spec.Secret.Keys
	return slices.DeleteFunc(slices.Clone(kube.ReadApplied(secret).Keys), func(key string) bool {
		return key == wanted.AuthID || key == wanted.AuthToken || secret.Data[key] == nil
	})
}

// secretFacts returns the facts about a Secret that matter to a Subaccount. The
// data of the Secret may be digests, as in the cache, or the values themselves.
func (r *Reconciler) secretFacts(s *v1alpha1.Subaccount, secret *corev1.Secret) plan.Secret {
	digest := r.Digester.Digest
	if kube.HasDigests(secret) {
		digest = func(value []byte) (d plivo.Digest) { copy(d[:], value); return d }
	}
	keys := s.Spec.Secret.Keys
	facts := plan.Secret{
		Owned:       isOwner(s, secret),
		TokenDigest: digest(secret.Data[keys.AuthToken]),
		WellFormed: secret.Type == corev1.SecretTypeOpaque && !ptr.Deref(secret.Immutable, false) &&
			secret.Data[keys.AuthID] != nil && secret.Data[keys.AuthToken] != nil && len(staleKeys(s, secret)) == 0,
	}
	if id := s.Status.AuthID; id != "" && digest(secret.Data[keys.AuthID]) == r.Digester.Digest([]byte(id)) {
		facts.AuthID = id
	}
	wanted := secret.DeepCopy()
	setSecretMetadata(s, wanted)
	facts.MetadataUpToDate = equality.Semantic.DeepEqual(wanted.ObjectMeta, secret.ObjectMeta)
	return facts
}

// isOwner reports whether a Subaccount owns a Secret, by UID. The Subaccount must
// be the controller of the Secret, or any owner if the Secret has no controller.
func isOwner(s *v1alpha1.Subaccount, secret *corev1.Secret) bool {
	if controller := metav1.GetControllerOf(secret); controller != nil {
		return controller.UID == s.UID
	}
	return slices.ContainsFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == s.UID })
}

// setSecretMetadata sets the labels, annotations and owner reference of a Secret.
// It removes those that the operator set for an earlier spec.
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
	// kube.DigestSecret must keep a label of the operator, or each sweep finds it missing.
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
		text, _ := json.Marshal(now) // never fails for strings
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

// writeSecret creates the Secret, or updates the one that it reads first. It
// never takes over a Secret that another client created in the meantime.
func (st *reconcileState) writeSecret(ctx context.Context) error {
	s, name := st.obs.Object, plan.SecretName(st.obs.Object)
	if st.obs.Secret.IsAbsent() {
		return st.createSecret(ctx, name)
	}
	secret := &corev1.Secret{}
	if err := st.reconciler.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret); err != nil {
		return err
	}
	if !isOwner(s, secret) {
		return conflict("the Secret " + name + " was replaced by one that this Subaccount does not own")
	}
	st.secretDataRead = maps.Clone(secret.Data) // a copy, because secret.Data changes below
	if !st.obs.HasToken && !st.useTokenOf(secret) {
		return conflict("the token in the Secret " + name + " was changed")
	}
	if secret.Type != corev1.SecretTypeOpaque || ptr.Deref(secret.Immutable, false) {
		// The API server refuses to change the type, and anything in an immutable Secret.
		if err := st.reconciler.Client.Delete(ctx, secret, preconditions(secret)); err != nil {
			return err
		}
		return st.createSecret(ctx, name)
	}
	managers := otherManagers(secret, s.Spec.Secret.Keys)
	for _, key := range staleKeys(s, secret) {
		delete(secret.Data, key)
	}
	setSecretMetadata(s, secret)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, st.secretData())
	if err := st.reconciler.Client.Update(ctx, secret); err != nil {
		return err
	}
	st.setWrittenSecretFacts(ctx, secret, managers)
	return nil
}

// setWrittenSecretFacts updates the Observation with the Secret that the API
// server returned for a write, and counts the write towards a contest. managers
// are the field managers whose changes the write undid.
func (st *reconcileState) setWrittenSecretFacts(ctx context.Context, secret *corev1.Secret, managers string) {
	log.FromContext(ctx).Info("Wrote the Secret", logging.Secret, secret.Name, logging.AuthID, st.obs.Object.Status.AuthID)
	st.setSecretFacts(secret)
	facts, _ := st.obs.Secret.Get()
	isAsSent := facts.WellFormed && facts.MetadataUpToDate && facts.AuthID == st.obs.Object.Status.AuthID &&
		facts.TokenDigest == st.reconciler.Digester.Digest([]byte(st.token.Reveal()))
	st.reconciler.memory.update(st.obs.Object, func(rm *resourceMemory) {
		rm.contest.countWrite(managers, !isAsSent, time.Now())
		st.obs.ContestedUntil, st.obs.ContestedBy = rm.contest.pausedUntil, rm.contest.managers
	})
}

// useTokenOf takes the token from the Secret, which saves a call to Plivo. It
// reports false if the token is not the one that the decision was based on.
func (st *reconcileState) useTokenOf(secret *corev1.Secret) bool {
	observed, _ := st.obs.Secret.Get()
	token := secret.Data[st.obs.Object.Spec.Secret.Keys.AuthToken]
	st.token = plivo.NewToken(string(token))
	return len(token) > 0 && st.reconciler.Digester.Digest(token) == observed.TokenDigest
}

func (st *reconcileState) createSecret(ctx context.Context, name string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: st.obs.Object.Namespace, Name: name},
		Type:       corev1.SecretTypeOpaque,
		Data:       st.secretData(),
	}
	setSecretMetadata(st.obs.Object, secret)
	if err := st.reconciler.Client.Create(ctx, secret); err != nil {
		st.obs.Secret = plan.Unknown[plan.Secret]()
		return err
	}
	st.setWrittenSecretFacts(ctx, secret, "")
	return nil
}

func (st *reconcileState) secretData() map[string][]byte {
	keys := st.obs.Object.Spec.Secret.Keys
	return map[string][]byte{
		keys.AuthID:    []byte(st.obs.Object.Status.AuthID),
		keys.AuthToken: []byte(st.token.Reveal()),
	}
}

func (st *reconcileState) setSecretFacts(secret *corev1.Secret) {
	st.obs.Secret = plan.Known(st.reconciler.secretFacts(st.obs.Object, secret))
}

// removeSecret deletes a Secret if this resource owns it and it is not a copy
// that another client made.
func (st *reconcileState) removeSecret(ctx context.Context, name string) error {
	s := st.obs.Object
	secret := &corev1.Secret{}
	err := st.reconciler.Live.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, secret)
	if err == nil && isOwner(s, secret) && !kube.IsCopy(s.Name, secret) {
		err = st.reconciler.Client.Delete(ctx, secret, preconditions(secret))
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if name == plan.SecretName(s) {
		st.obs.Secret = plan.Absent[plan.Secret]()
	} else {
		st.obs.ObsoleteSecret = ""
	}
	return nil
}

// preconditions makes a deletion fail if the object changed since it was read.
func preconditions(obj client.Object) client.Preconditions {
	return client.Preconditions{UID: ptr.To(obj.GetUID()), ResourceVersion: ptr.To(obj.GetResourceVersion())}
}
