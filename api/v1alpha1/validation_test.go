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

// plane and server are shared by all tests of this package: rules are asked of
// a real API server, because only that evaluates them.
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

// IDs of Plivo's form, two subaccounts and two main accounts.
const (
	subaccountA = "SAAAAAAAAAAAAAAAAAAA"
	subaccountB = "SABBBBBBBBBBBBBBBBBB"
	mainA       = "MAAAAAAAAAAAAAAAAAAA"
	mainB       = "MABBBBBBBBBBBBBBBBBB"
)

// rule is one rule of the API: what it accepts beside what it refuses, so that
// neither is accepted or refused for another reason. Objects are YAML without
// apiVersion and kind, so that a field left out is really absent.
type rule struct {
	name string
	// before, if given, is created first; the others are then updates of it.
	before   string
	accepted []string
	refused  []refusal
}

// refusal is what a user reads about an object.
type refusal struct{ object, field, message string }

// refusedAlike are objects that are refused with the same words.
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
				t.Fatal("a rule needs what it accepts and what it refuses")
			}
			try := func(object string) error { return dryRunCreate(t, kind, object) }
			if rule.before != "" {
				before := create(t, kind, rule.before)
				try = func(object string) error { return dryRunUpdate(t, before, object) }
			}
			for _, object := range rule.accepted {
				if err := try(object); err != nil {
					t.Errorf("refused:\n%s\n%v", object, err)
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
		t.Errorf("not refused as invalid, but %v:\n%s", err, want.object)
		return
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == want.field && strings.Contains(cause.Message, want.message) {
			return
		}
	}
	t.Errorf("refused for another reason than %q: %q:\n%s\n%v", want.field, want.message, want.object, err)
}

// parse makes an object of the YAML; without a name it gets one of its own.
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

// dryRunUpdate puts the spec of the YAML in the place of the object's.
func dryRunUpdate(t *testing.T, object *unstructured.Unstructured, text string) error {
	updated := object.DeepCopy()
	updated.Object["spec"] = parse(t, object.GetKind(), text).Object["spec"]
	return server.Update(t.Context(), updated, client.DryRunAll, client.FieldValidation("Strict"))
}

// field is what the dotted path of the object holds, as YAML; "" if it is absent.
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
			t.Errorf("%s is %q, want %q", path, got, value)
		}
	}
}

// entries is a YAML map of n entries.
func entries(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("key-%d: x", i))
	}
	return "{" + strings.Join(all, ", ") + "}"
}
