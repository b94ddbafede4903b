// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// plane and server are shared by all tests of this package. Only a real API server
// evaluates the rules of a CRD.
var (
	plane  *controlplane.Plane
	server client.Client
)

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{}, func(p *controlplane.Plane) {
		plane = p
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			panic(err)
		}
		var err error
		if server, err = client.New(p.Config, client.Options{Scheme: scheme}); err != nil {
			panic(err)
		}
	}))
}

// Valid Plivo IDs of two subaccounts and two main accounts.
const (
	subaccountA = "SAAAAAAAAAAAAAAAAAAA"
	subaccountB = "SABBBBBBBBBBBBBBBBBB"
	mainA       = "MAAAAAAAAAAAAAAAAAAA"
	mainB       = "MABBBBBBBBBBBBBBBBBB"
)

// rule is one rule of the API with objects that it accepts and similar ones that it
// refuses, so that no other rule decides. Objects are YAML without apiVersion and
// kind: a Go object could not omit every field.
type rule struct {
	name string
	// before is created first, and the other objects are updates of it. If empty,
	// the other objects are created.
	before   string
	accepted []string
	refused  []refusal
}

// refusal is an object and the field and message of the error for it.
type refusal struct{ object, field, message string }

// refusedAlike returns refusals of several objects with the same message.
func refusedAlike(field, message string, objects ...string) []refusal {
	var all []refusal
	for _, object := range objects {
		all = append(all, refusal{object, field, message})
	}
	return all
}

func check(t *testing.T, kind string, rules []rule) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if len(rule.accepted) == 0 || len(rule.refused) == 0 {
				t.Fatal("got a rule without accepted or refused objects, want both")
			}
			try := func(object string) error { return dryRunCreate(t, kind, object) }
			if rule.before != "" {
				before := create(t, kind, rule.before)
				try = func(object string) error { return dryRunUpdate(t, before, object) }
			}
			for _, object := range rule.accepted {
				if err := try(object); err != nil {
					t.Errorf("got %v, want accepted:\n%s", err, object)
				}
			}
			for _, want := range rule.refused {
				checkRefusal(t, try(want.object), want)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, want refusal) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Reason != metav1.StatusReasonInvalid {
		t.Errorf("got %v, want invalid:\n%s", err, want.object)
		return
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == want.field && strings.Contains(cause.Message, want.message) {
			return
		}
	}
	t.Errorf("got %v, want %q: %q:\n%s", err, want.field, want.message, want.object)
}

// parse parses the YAML. An object without a name gets a unique one.
func parse(t *testing.T, kind, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	if object.GetName() == "" {
		object.SetGenerateName("rule-")
	}
	if kind == "Subaccount" {
		object.SetNamespace("default")
	}
	return object
}

func create(t *testing.T, kind, text string) *unstructured.Unstructured {
	t.Helper()
	object := parse(t, kind, text)
	if err := server.Create(t.Context(), object, client.FieldValidation("Strict")); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return object
}

func dryRunCreate(t *testing.T, kind, text string) error {
	return server.Create(t.Context(), parse(t, kind, text), client.DryRunAll, client.FieldValidation("Strict"))
}

// dryRunUpdate replaces the spec of the object by that of the YAML.
func dryRunUpdate(t *testing.T, object *unstructured.Unstructured, text string) error {
	updated := object.DeepCopy()
	updated.Object["spec"] = parse(t, object.GetKind(), text).Object["spec"]
	return server.Update(t.Context(), updated, client.DryRunAll, client.FieldValidation("Strict"))
}

// field returns the value at a dotted path as YAML, or "" if it is absent.
func field(t *testing.T, object *unstructured.Unstructured, path string) string {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, strings.Split(path, ".")...)
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return ""
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func checkFields(t *testing.T, object *unstructured.Unstructured, want map[string]string) {
	t.Helper()
	for path, value := range want {
		if got := field(t, object, path); got != value {
			t.Errorf("%s: got %q, want %q", path, got, value)
		}
	}
}

// entries returns a YAML map with n entries.
func entries(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("key-%d: x", i))
	}
	return "{" + strings.Join(all, ", ") + "}"
}
