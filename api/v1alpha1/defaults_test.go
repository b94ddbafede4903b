// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

func TestDefaults_OmittedFields_AreSet(t *testing.T) {
	for _, test := range []struct {
		name, kind, object string
		want               map[string]string
	}{
		{"accountRef is default", "Subaccount", "spec: {name: a}", map[string]string{"spec.accountRef.name": "default"}},
		{"an empty accountRef is default", "Subaccount", "spec: {name: a, accountRef: {}}", map[string]string{"spec.accountRef.name": "default"}},
		{"an accountRef that is set stays", "Subaccount", "spec: {name: a, accountRef: {name: b}}", map[string]string{"spec.accountRef.name": "b"}},
		{"cascadePolicy is Reassign", "Subaccount", "spec: {name: a}", map[string]string{"spec.cascadePolicy": "Reassign"}},
		{"recreatePolicy is Automatic", "Subaccount", "spec: {name: a}", map[string]string{"spec.recreatePolicy": "Automatic"}},
		{"enabled, deletionPolicy, suspend and the Secret's name have none", "Subaccount", "spec: {name: a}",
			map[string]string{"spec.enabled": "", "spec.deletionPolicy": "", "spec.suspend": "", "spec.secret.name": ""}},
		{"the Secret's keys are auth_id and auth_token", "Subaccount", "spec: {name: a}",
			map[string]string{"spec.secret.keys.authID": "auth_id", "spec.secret.keys.authToken": "auth_token"}},
		{"the keys of a Secret that says nothing of them too", "Subaccount", withSecret("{name: b}"),
			map[string]string{"spec.secret.keys.authID": "auth_id", "spec.secret.keys.authToken": "auth_token"}},
		{"authToken's key alone", "Subaccount", withSecret("{keys: {authID: a}}"),
			map[string]string{"spec.secret.keys.authID": "a", "spec.secret.keys.authToken": "auth_token"}},
		{"authID's key alone", "Subaccount", withSecret("{keys: {authToken: a}}"),
			map[string]string{"spec.secret.keys.authID": "auth_id", "spec.secret.keys.authToken": "a"}},
		{"sweepInterval and requestsPer5Seconds", "Account", account(""),
			map[string]string{"spec.sweepInterval": "5m", "spec.requestsPer5Seconds": "150", "spec.adoption": "", "spec.namespaceSelector": "{}"}},
		{"sweepInterval and requestsPer5Seconds that are set stay", "Account", account(", sweepInterval: 10s, requestsPer5Seconds: 1"),
			map[string]string{"spec.sweepInterval": "10s", "spec.requestsPer5Seconds": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkFields(t, create(t, test.kind, test.object), test.want)
		})
	}
}

func TestDefaults_StatusOfNewObject_HasGenerationMinusOne(t *testing.T) {
	for name, object := range map[string]*struct{ kind, text string }{
		"Subaccount":               {"Subaccount", "spec: {name: a}"},
		"Subaccount with a status": {"Subaccount", "spec: {name: a}\nstatus: {observedGeneration: 1, authID: " + subaccountA + "}"},
		"Account":                  {"Account", account("")},
		"Account with a status":    {"Account", account("") + "\nstatus: {observedGeneration: 1, authID: " + mainA + "}"},
	} {
		t.Run(name, func(t *testing.T) {
			created := create(t, object.kind, object.text)
			read := created.DeepCopy()
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(created), read); err != nil {
				t.Fatal(err)
			}
			checkFields(t, read, map[string]string{"status": "observedGeneration: -1"})
		})
	}
}

func TestAccount_NamespaceOfCredentials_IsAnUnknownField(t *testing.T) {
	const text = "spec: {credentialsSecretRef: {name: plivo, namespace: other}, namespaceSelector: {}}"
	t.Run("strict validation refuses it", func(t *testing.T) {
		err := dryRunCreate(t, "Account", text)
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "spec.credentialsSecretRef.namespace"`) {
			t.Errorf("got %v, want an unknown field", err)
		}
	})
	t.Run("without, it is pruned", func(t *testing.T) {
		object := parse(t, "Account", text)
		if err := server.Create(t.Context(), object, client.FieldValidation("Ignore")); err != nil {
			t.Fatal(err)
		}
		checkFields(t, object, map[string]string{"spec.credentialsSecretRef": "name: plivo"})
	})
}

// A zero value in Go must not reach the API server as an empty string that a rule
// refuses. A client must be able to write back what it reads.
func TestGoTypes_ZeroValues_AreAccepted(t *testing.T) {
	name, authID := "a", subaccountA
	meta := metav1.ObjectMeta{GenerateName: "typed-", Namespace: "default"}
	for kind, object := range map[string]client.Object{
		"minimal Subaccount": &v1alpha1.Subaccount{ObjectMeta: meta, Spec: v1alpha1.SubaccountSpec{Name: &name}},
		"adopting Subaccount": &v1alpha1.Subaccount{ObjectMeta: meta, Spec: v1alpha1.SubaccountSpec{
			AuthID: &authID, DeletionPolicy: v1alpha1.DeletionPolicyOrphan}},
		"Subaccount with parts of a Secret": &v1alpha1.Subaccount{ObjectMeta: meta, Spec: v1alpha1.SubaccountSpec{Name: &name,
			Secret: v1alpha1.SubaccountSecret{Labels: map[string]string{"k": "v"}, Keys: v1alpha1.SecretKeys{AuthID: "ID"}}}},
		"minimal Account": &v1alpha1.Account{ObjectMeta: metav1.ObjectMeta{GenerateName: "typed-"}, Spec: v1alpha1.AccountSpec{
			CredentialsSecretRef: v1alpha1.CredentialsSecretReference{Name: "plivo"}, NamespaceSelector: &metav1.LabelSelector{}}},
	} {
		t.Run(kind, func(t *testing.T) {
			if err := server.Create(t.Context(), object, client.FieldValidation("Strict")); err != nil {
				t.Fatal(err)
			}
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				t.Fatal(err)
			}
			read := specOf(object.DeepCopyObject())
			if err := server.Update(t.Context(), object, client.FieldValidation("Strict")); err != nil {
				t.Fatal(err)
			}
			if err := server.Status().Update(t.Context(), object, client.FieldValidation("Strict")); err != nil {
				t.Fatal(err)
			}
			if written := specOf(object); !reflect.DeepEqual(read, written) {
				t.Errorf("got %+v after the write, want %+v", written, read)
			}
		})
	}
}

func specOf(object runtime.Object) any {
	switch object := object.(type) {
	case *v1alpha1.Subaccount:
		return object.Spec
	case *v1alpha1.Account:
		return object.Spec
	}
	return nil
}

func TestDeepCopy_SubaccountSecret_SharesNothing(t *testing.T) {
	original := &v1alpha1.Subaccount{Spec: v1alpha1.SubaccountSpec{Secret: v1alpha1.SubaccountSecret{
		Name: "a", Keys: v1alpha1.SecretKeys{AuthID: "b"},
		Labels: map[string]string{"k": "v"}, Annotations: map[string]string{"k": "v"}}}}
	secret := original.DeepCopy().Spec.Secret
	if secret.Name != "a" || secret.Keys.AuthID != "b" || secret.Labels["k"] != "v" || secret.Annotations["k"] != "v" {
		t.Errorf("got an incomplete copy: %+v", secret)
	}
	secret.Labels["k"], secret.Annotations["k"] = "other", "other"
	if got := original.Spec.Secret; got.Labels["k"] != "v" || got.Annotations["k"] != "v" {
		t.Errorf("got %+v after a change of the copy, want the original unchanged", got)
	}
}
