// SPDX-License-Identifier: Apache-2.0

package samples

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// The API server's limits for the rules (CEL) of one object.
const (
	costOfOneRule  = 1_000_000
	costOfAllRules = 10_000_000
)

// customSchema is the schema of one version of a CRD, with the API server's own code.
type customSchema struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator // nil without rules
	namespaced bool
}

type schemas map[schema.GroupVersionKind]customSchema

// readSchemas reads the CRDs of this repository and those of other projects.
func readSchemas(t *testing.T) schemas {
	t.Helper()
	all := schemas{}
	own, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil || len(own) != 2 {
		t.Fatalf("got CRDs %v (%v), want 2", own, err)
	}
	for _, path := range own {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.add(t, text)
	}
	for _, c := range copies {
		all.add(t, decompress(t, copyOf(c.path)))
	}
	return all
}

func (all schemas) add(t *testing.T, text []byte) {
	t.Helper()
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	for _, version := range crd.Spec.Versions {
		if !version.Served || version.Deprecated {
			continue
		}
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &props, nil); err != nil {
			t.Fatal(err)
		}
		structural, err := structuralschema.NewStructural(&props)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(&props)
		if err != nil {
			t.Fatal(err)
		}
		all[schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}] = customSchema{
			structural: structural, validator: validator, rules: cel.NewValidator(structural, true, costOfOneRule),
			namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
		}
	}
}

// problems returns what an API server would refuse or drop of an object.
func (all schemas) problems(ctx context.Context, obj *unstructured.Unstructured) (problems []string) {
	gvk := obj.GroupVersionKind()
	s, isCustom := all[gvk]
	if !isCustom {
		return builtinProblems(obj)
	}
	obj = obj.DeepCopy()
	if obj.GetName() == "" {
		problems = append(problems, "no name")
	}
	if s.namespaced != (obj.GetNamespace() != "") {
		problems = append(problems, fmt.Sprintf("namespace %q, although namespaced is %t", obj.GetNamespace(), s.namespaced))
	}
	for _, path := range pruning.PruneWithOptions(obj.Object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		problems = append(problems, "unknown field "+path)
	}
	defaulting.Default(obj.Object, s.structural)
	for _, err := range validation.ValidateCustomResource(nil, obj.Object, s.validator) {
		problems = append(problems, err.Error())
	}
	if s.rules != nil && len(problems) == 0 {
		errs, _ := s.rules.Validate(ctx, nil, s.structural, obj.Object, nil, costOfAllRules)
		for _, err := range errs {
			problems = append(problems, err.Error())
		}
	}
	return problems
}

// builtinProblems returns the fields that a kind of Kubernetes itself does not have.
func builtinProblems(obj *unstructured.Unstructured) []string {
	text, err := obj.MarshalJSON()
	if err == nil {
		_, _, err = serializer.NewCodecFactory(clientgoscheme.Scheme, serializer.EnableStrict).UniversalDeserializer().Decode(text, nil, nil)
	}
	if runtime.IsNotRegisteredError(err) {
		return []string{"no schema for " + obj.GroupVersionKind().String()}
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}
