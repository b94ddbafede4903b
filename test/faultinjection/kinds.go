// SPDX-License-Identifier: Apache-2.0

package faultinjection

import (
	"encoding/base64"
	"os"
	"path/filepath"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// kind is a resource kind that the API server in memory serves.
type kind struct {
	name, group, version string
	namespaced, status   bool
	schema               *structuralschema.Structural // only of custom resources
}

func (k kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

const (
	namespaces  = "namespaces"
	secrets     = "secrets"
	accounts    = "accounts"
	subaccounts = "subaccounts"
	crds        = "customresourcedefinitions"
)

// kinds are the served kinds by their resource names.
var kinds = map[string]kind{
	namespaces:  {name: "Namespace", version: "v1"},
	secrets:     {name: "Secret", version: "v1", namespaced: true},
	crds:        {name: "CustomResourceDefinition", group: "apiextensions.k8s.io", version: "v1"},
	accounts:    {name: "Account", group: v1alpha1.Group, version: "v1alpha1", status: true, schema: schemaOf(accounts)},
	subaccounts: {name: "Subaccount", group: v1alpha1.Group, version: "v1alpha1", namespaced: true, status: true, schema: schemaOf(subaccounts)},
}

// schemaOf reads a CRD of this repository.
func schemaOf(resource string) *structuralschema.Structural {
	root, err := controlplane.Root()
	must(err)
	data, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", v1alpha1.Group+"_"+resource+".yaml"))
	must(err)
	var crd apiextensionsv1.CustomResourceDefinition
	must(yaml.Unmarshal(data, &crd))
	var props apiextensions.JSONSchemaProps
	must(apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil))
	structural, err := structuralschema.NewStructural(&props)
	must(err)
	return structural
}

// complete prunes and defaults an object, as the API server does before it stores it.
func (k kind) complete(obj *unstructured.Unstructured) {
	obj.SetAPIVersion(k.apiVersion())
	obj.SetKind(k.name)
	if k.schema != nil {
		pruning.Prune(obj.Object, k.schema, true)
		defaulting.Default(obj.Object, k.schema)
	}
	if k.name == "Secret" {
		completeSecret(obj)
	}
}

func completeSecret(obj *unstructured.Unstructured) {
	plain, _, _ := unstructured.NestedStringMap(obj.Object, "stringData")
	for key, value := range plain {
		must(unstructured.SetNestedField(obj.Object, base64.StdEncoding.EncodeToString([]byte(value)), "data", key))
	}
	delete(obj.Object, "stringData")
	if obj.Object["type"] == nil {
		obj.Object["type"] = "Opaque"
	}
}
