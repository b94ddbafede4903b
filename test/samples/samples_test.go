// SPDX-License-Identifier: Apache-2.0

// Package samples checks the manifests in config/samples against the CRDs of their projects,
// without an API server.
package samples

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const folder = "../../config/samples"

// readSamples returns the objects of config/samples by their files.
func readSamples(t *testing.T) map[string][]*unstructured.Unstructured {
	t.Helper()
	all := map[string][]*unstructured.Unstructured{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		name := strings.TrimPrefix(path, folder+"/")
		all[name] = parse(t, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// parse parses YAML with one or more documents.
func parse(t *testing.T, text string) (objects []*unstructured.Unstructured) {
	t.Helper()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &obj.Object); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		objects = append(objects, obj)
	}
}

// The overlays set the namespaces of the manifests in this folder.
const base = "gitops/tenants/base/"

func TestSamples_EachManifest_MeetsItsSchema(t *testing.T) {
	all := readSchemas(t)
	var kinds []string
	for path, objects := range readSamples(t) {
		for _, obj := range objects {
			if strings.HasPrefix(path, base) {
				obj.SetNamespace("team-a")
			}
			kinds = append(kinds, obj.GetKind())
			if problems := all.problems(t.Context(), obj); len(problems) > 0 {
				t.Errorf("%s: got problems:\n%s", path, strings.Join(problems, "\n"))
			}
		}
	}
	for _, kind := range []string{"Account", "Subaccount", "ApplicationSet", "GeneratingPolicy", "Kustomization", "PushSecret"} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("got no sample of kind %s, want at least one", kind)
		}
	}
}

// A check that accepts everything would not notice a wrong sample.
func TestSamples_ManifestWithMistake_IsRefused(t *testing.T) {
	all, samples := readSchemas(t), readSamples(t)
	for _, row := range []struct {
		path string
		// field is the path of the field that gets a wrong value.
		field, want string
		value       any
	}{
		{path: "subaccount.yaml", field: "spec.nmae", value: "Team A", want: "unknown field spec.nmae"},
		{path: "subaccount.yaml", field: "spec.name", value: " Team A", want: "whitespace"},
		{path: "account.yaml", field: "metadata.namespace", value: "default", want: "namespace"},
		{path: "gitops/argocd/tenants.yaml", field: "spec.syncPolicy.preserveResources", value: true, want: "unknown field spec.syncPolicy.preserveResources"},
		{path: "gitops/argocd/tenants.yaml", field: "spec.goTemplate", value: "yes", want: "spec.goTemplate"},
		{path: "gitops/flux/team-a.yaml", field: "spec.interval", value: "soon", want: "spec.interval"},
		{path: "gitops/tenants/base/deployment.yaml", field: "spec.replica", value: int64(1), want: "replica"},
		{path: "external-secrets/pushsecret.yaml", field: "spec.updatePolicy", value: "Always", want: "spec.updatePolicy"},
		{path: "kyverno/subaccount-per-namespace.yaml", field: "spec.generate", value: []any{map[string]any{}}, want: "exactly one of"},
	} {
		t.Run(row.path+" "+row.field, func(t *testing.T) {
			if len(samples[row.path]) == 0 {
				t.Fatal("got no sample, want one")
			}
			obj := samples[row.path][0].DeepCopy()
			if err := unstructured.SetNestedField(obj.Object, row.value, strings.Split(row.field, ".")...); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(all.problems(t.Context(), obj), "\n"); !strings.Contains(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestKyvernoPolicy_SelectedNamespace_GetsValidSubaccount(t *testing.T) {
	all, samples := readSchemas(t), readSamples(t)
	policy, account := samples["kyverno/subaccount-per-namespace.yaml"][0], samples["gitops/platform/account.yaml"][0]
	var conditions []any
	for key, value := range nested[map[string]any](t, account, "spec", "namespaceSelector", "matchLabels") {
		expression := fmt.Sprintf(`object.metadata.?labels[%q].orValue("") == %q`, key, value)
		conditions = append(conditions, map[string]any{"name": "is-tenant", "expression": expression})
	}
	if got := nested[[]any](t, policy, "spec", "matchConditions"); !reflect.DeepEqual(got, conditions) {
		t.Errorf("got conditions %v, want the labels that the Account selects: %v", got, conditions)
	}
	if variables := nested[[]any](t, policy, "spec", "variables"); !reflect.DeepEqual(variables, []any{
		map[string]any{"name": "tenant", "expression": "object.metadata.name"},
	}) {
		t.Errorf("got variables %v, want tenant only", variables)
	}
	generate := nested[[]any](t, policy, "spec", "generate")
	template, _, _ := unstructured.NestedString(generate[0].(map[string]any), "template", "value")
	generated := parse(t, strings.ReplaceAll(template, "(( variables.tenant ))", "team-c"))
	if len(generated) != 1 || generated[0].GetNamespace() != "team-c" {
		t.Fatalf("got %v, want one Subaccount in team-c", generated)
	}
	if problems := all.problems(t.Context(), generated[0]); len(problems) > 0 {
		t.Errorf("got problems:\n%s", strings.Join(problems, "\n"))
	}
}

// The samples that use the tenant's Secret name it as the Subaccount does.
func TestSamples_SecretOfTenant_HasOneNameAndKeys(t *testing.T) {
	samples := readSamples(t)
	subaccount, deployment, push := samples[base+"subaccount.yaml"][0], samples[base+"deployment.yaml"][0], samples["external-secrets/pushsecret.yaml"][0]
	name := nested[string](t, subaccount, "spec", "secret", "name")
	if got := deployment.GetAnnotations()["secret.reloader.stakater.com/reload"]; got != name {
		t.Errorf("got Secret %q for Reloader, want %q", got, name)
	}
	if got := nested[string](t, push, "spec", "selector", "secret", "name"); got != name {
		t.Errorf("got Secret %q for PushSecret, want %q", got, name)
	}
	var keys []string
	for _, entry := range nested[[]any](t, push, "spec", "data") {
		key, _, _ := unstructured.NestedString(entry.(map[string]any), "match", "secretKey")
		keys = append(keys, key)
	}
	want := []string{nested[string](t, subaccount, "spec", "secret", "keys", "authID"), nested[string](t, subaccount, "spec", "secret", "keys", "authToken")}
	if !slices.Equal(keys, want) {
		t.Errorf("got keys %v for PushSecret, want %v", keys, want)
	}
}

// nested returns the field at a path.
func nested[T any](t *testing.T, obj *unstructured.Unstructured, path ...string) T {
	t.Helper()
	value, _, err := unstructured.NestedFieldNoCopy(obj.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	typed, ok := value.(T)
	if !ok {
		t.Fatalf("got %T at %v of %s, want %T", value, path, obj.GetName(), typed)
	}
	return typed
}
