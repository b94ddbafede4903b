// SPDX-License-Identifier: Apache-2.0

package subaccount

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

func subaccountWithSecret() (*v1alpha1.Subaccount, *corev1.Secret) {
	s := &v1alpha1.Subaccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: "u"}}
	s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "auth_id", AuthToken: "auth_token"}
	s.Status.AuthID = "SAXXXXXXXXXXXXXXXXXX"
	secret := &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"auth_id": []byte(s.Status.AuthID), "auth_token": []byte("token")}}
	setSecretMetadata(s, secret)
	return s, secret
}

func TestSecretFacts_CachedSecret_EqualsLiveWithoutToken(t *testing.T) {
	r := &Reconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	live := r.secretFacts(s, secret)
	if !live.Owned || !live.WellFormed || !live.MetadataUpToDate || live.AuthID != s.Status.AuthID || live.TokenDigest != r.Digester.Digest([]byte("token")) {
		t.Fatalf("got %+v, want all facts", live)
	}
	for range 3 {
		if _, err := kube.DigestSecret(r.Digester)(secret); err != nil {
			t.Fatal(err)
		}
		if string(secret.Data["auth_token"]) == "token" {
			t.Error("got the token in the cache, want a digest")
		}
		if cached := r.secretFacts(s, secret); cached != live {
			t.Errorf("got %+v from the cache, want %+v", cached, live)
		}
	}
}

func TestSetSecretMetadata_SpecChanges_KeepsForeignLabels(t *testing.T) {
	s, secret := subaccountWithSecret()
	s.Spec.Secret.Labels = map[string]string{"team": "a", "tier": "x"}
	s.Spec.Secret.Annotations = map[string]string{"note": "x"}
	setSecretMetadata(s, secret)
	secret.Labels["somebody"] = "else"
	s.Spec.Secret.Labels, s.Spec.Secret.Annotations = map[string]string{"team": "b"}, nil
	setSecretMetadata(s, secret)
	want := map[string]string{"team": "b", "somebody": "else", v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	if len(secret.Labels) != len(want) {
		t.Errorf("got the labels %v, want %v", secret.Labels, want)
	}
	for k, v := range want {
		if secret.Labels[k] != v {
			t.Errorf("label %s: got %q, want %q", k, secret.Labels[k], v)
		}
	}
	if _, ok := secret.Annotations["note"]; ok || len(secret.OwnerReferences) != 1 {
		t.Errorf("got the annotations %v and owners %v, want no note and one owner", secret.Annotations, secret.OwnerReferences)
	}
}

func TestIsOwner_ControllersAndOwners_ComparesUIDs(t *testing.T) {
	s, secret := subaccountWithSecret()
	for name, c := range map[string]struct {
		owners []metav1.OwnerReference
		want   bool
	}{
		"controller is this one": {secret.OwnerReferences, true},
		"no owner":               {nil, false},
		"same name, another UID": {[]metav1.OwnerReference{{Kind: "Subaccount", Name: "a", UID: "other"}}, false},
		"owner, no controller":   {[]metav1.OwnerReference{{Kind: "Subaccount", Name: "a", UID: "u"}}, true},
		"owner, another controller": {[]metav1.OwnerReference{
			{Kind: "Deployment", Name: "d", UID: "d", Controller: new(true)}, {Kind: "Subaccount", Name: "a", UID: "u"}}, false},
	} {
		secret.OwnerReferences = c.owners
		if got := isOwner(s, secret); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestSecretFacts_ForeignKeys_AreIgnored(t *testing.T) {
	r := &Reconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	secret.Data["other"] = []byte("x")
	if facts := r.secretFacts(s, secret); !facts.WellFormed || !facts.MetadataUpToDate {
		t.Errorf("with a foreign key: got %+v, want well-formed and up to date", facts)
	}
	s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "id", AuthToken: "other"}
	if facts := r.secretFacts(s, secret); facts.WellFormed || facts.MetadataUpToDate {
		t.Errorf("with other keys in the spec: got %+v, want neither", facts)
	}
	if stale := staleKeys(s, secret); len(stale) != 2 {
		t.Errorf("got the stale keys %v, want 2", stale)
	}
	setSecretMetadata(s, secret)
	secret.Data = map[string][]byte{"id": []byte(s.Status.AuthID), "other": []byte("token"), "auth_id": []byte("user data")}
	if facts := r.secretFacts(s, secret); !facts.WellFormed || !facts.MetadataUpToDate {
		t.Errorf("after the write: got %+v, want well-formed and up to date", facts)
	}
}

func TestDigestSecret_ManyKeys_KeepsOnlyOwnKeys(t *testing.T) {
	r := &Reconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	for i := range 100_000 {
		secret.Data[fmt.Sprint(i)] = nil
	}
	if _, err := kube.DigestSecret(r.Digester)(secret); err != nil {
		t.Fatal(err)
	}
	if facts := r.secretFacts(s, secret); len(secret.Data) != 2 || !facts.WellFormed || !facts.MetadataUpToDate {
		t.Errorf("got %d keys, %+v, want 2 keys", len(secret.Data), facts)
	}
}

func TestWriteSecret_RefusalQuotesOldToken_RedactsIt(t *testing.T) {
	const old = "the-old-token-0123456789"
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, 10)
		s := g.apply("a")
		s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "auth_id", AuthToken: "auth_token"}
		if err := g.k8s.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		g.reconcile(s)
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: s.Namespace, Name: "a-plivo"}
		if err := g.k8s.Get(t.Context(), key, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data[s.Spec.Secret.Keys.AuthToken] = []byte(old)
		if err := g.k8s.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		g.reconciler.Client = interceptor.NewClient(g.k8s.(client.WithWatch), interceptor.Funcs{
			Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
				return apierrors.NewForbidden(corev1.Resource("secrets"), secret.Name, errors.New("the old value was "+old))
			},
		})
		time.Sleep(maxCacheLag + time.Second)
		g.reconcile(s)
		got := &v1alpha1.Subaccount{}
		if err := g.k8s.Get(t.Context(), client.ObjectKeyFromObject(s), got); err != nil {
			t.Fatal(err)
		}
		ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Reason != v1alpha1.ReasonKubernetesError || strings.Contains(ready.Message, old) {
			t.Errorf("got %+v, want KubernetesError without the token", ready)
		}
	})
}
