package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
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

func TestTheCachedSecretHoldsNoTokenAndTellsTheSameHoweverOftenItIsTransformed(t *testing.T) {
	r := &SubaccountReconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	live := r.secretFacts(s, secret)
	if !live.Owned || !live.Sound || !live.Labelled || live.AuthID != s.Status.AuthID || live.TokenDigest != r.Digester.Digest([]byte("token")) {
		t.Fatalf("%+v", live)
	}
	for range 3 {
		if _, err := digestSecret(r.Digester)(secret); err != nil {
			t.Fatal(err)
		}
		if string(secret.Data["auth_token"]) == "token" {
			t.Error("the token is in the cache")
		}
		if cached := r.secretFacts(s, secret); cached != live {
			t.Errorf("cached %+v, live %+v", cached, live)
		}
	}
}

func TestWhatLeavesTheSpecLeavesTheSecretAndOthersLabelsStay(t *testing.T) {
	s, secret := subaccountWithSecret()
	s.Spec.Secret.Labels = map[string]string{"team": "a", "tier": "x"}
	s.Spec.Secret.Annotations = map[string]string{"note": "x"}
	setSecretMetadata(s, secret)
	secret.Labels["somebody"] = "else"
	s.Spec.Secret.Labels, s.Spec.Secret.Annotations = map[string]string{"team": "b"}, nil
	setSecretMetadata(s, secret)
	want := map[string]string{"team": "b", "somebody": "else", v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	if len(secret.Labels) != len(want) {
		t.Errorf("labels %v", secret.Labels)
	}
	for k, v := range want {
		if secret.Labels[k] != v {
			t.Errorf("label %s is %q", k, secret.Labels[k])
		}
	}
	if _, ok := secret.Annotations["note"]; ok || len(secret.OwnerReferences) != 1 {
		t.Errorf("annotations %v, owners %v", secret.Annotations, secret.OwnerReferences)
	}
}

func TestASecretIsOursByTheUIDOfItsControllerOnly(t *testing.T) {
	s, secret := subaccountWithSecret()
	for name, c := range map[string]struct {
		owners []metav1.OwnerReference
		want   bool
	}{
		"ours":                          {secret.OwnerReferences, true},
		"nobody's":                      {nil, false},
		"of the same name, another UID": {[]metav1.OwnerReference{{Kind: "Subaccount", Name: "a", UID: "other"}}, false},
		"ours, no controller":           {[]metav1.OwnerReference{{Kind: "Subaccount", Name: "a", UID: "u"}}, true},
		"another's, and ours beside": {[]metav1.OwnerReference{
			{Kind: "Deployment", Name: "d", UID: "d", Controller: new(true)}, {Kind: "Subaccount", Name: "a", UID: "u"}}, false},
	} {
		secret.OwnerReferences = c.owners
		if got := owns(s, secret); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSecretFacts_KeysOfOthers_DoNotMatter(t *testing.T) {
	r := &SubaccountReconciler{Digester: plivo.NewDigester([]byte("key"))}
	s, secret := subaccountWithSecret()
	secret.Data["other"] = []byte("x")
	if facts := r.secretFacts(s, secret); !facts.Sound || !facts.Labelled {
		t.Errorf("with another's key: %+v", facts)
	}
	s.Spec.Secret.Keys = v1alpha1.SecretKeys{AuthID: "id", AuthToken: "other"}
	if facts := r.secretFacts(s, secret); facts.Sound || facts.Labelled {
		t.Errorf("with other keys in the spec: %+v", facts)
	}
	if stale := staleKeys(s, secret); len(stale) != 2 {
		t.Errorf("the keys of the earlier spec: %v", stale)
	}
	setSecretMetadata(s, secret)
	secret.Data = map[string][]byte{"id": []byte(s.Status.AuthID), "other": []byte("token"), "auth_id": []byte("a user's own")}
	if facts := r.secretFacts(s, secret); !facts.Sound || !facts.Labelled {
		t.Errorf("once they are written: %+v", facts)
	}
}
