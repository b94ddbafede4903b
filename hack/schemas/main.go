// SPDX-License-Identifier: Apache-2.0

// Command schemas writes a JSON schema for each version of the CRDs in config/crd/bases, for
// editors and for checks without a cluster, such as kubeconform.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	out := flag.String("out", "dist", "`folder` to write to")
	flag.Parse()
	if err := run("config/crd/bases", *out); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(crds, out string) error {
	paths, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, version := range crd.Spec.Versions {
			content, err := jsonSchema(crd.Spec, version)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			name := strings.ToLower(fmt.Sprintf("%s_%s_%s.json", crd.Spec.Group, crd.Spec.Names.Kind, version.Name))
			if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonSchema returns the schema of a version. It refuses unknown fields, which the API
// server drops, and other kinds.
func jsonSchema(crd apiextensionsv1.CustomResourceDefinitionSpec, version apiextensionsv1.CustomResourceDefinitionVersion) ([]byte, error) {
	schema := version.Schema.OpenAPIV3Schema.DeepCopy()
	refuseUnknownFields(schema)
	schema.Schema = "http://json-schema.org/draft-07/schema#"
	schema.Required = append(schema.Required, "apiVersion", "kind", "metadata")
	for field, value := range map[string]string{"apiVersion": crd.Group + "/" + version.Name, "kind": crd.Names.Kind} {
		property := schema.Properties[field]
		property.Enum = []apiextensionsv1.JSON{{Raw: fmt.Appendf(nil, "%q", value)}}
		schema.Properties[field] = property
	}
	content, err := json.MarshalIndent(schema, "", "  ")
	return append(content, '\n'), err
}

// refuseUnknownFields does not change the branches of allOf, anyOf, oneOf and not: they
// restrict values and declare no fields.
func refuseUnknownFields(schema *apiextensionsv1.JSONSchemaProps) {
	if len(schema.Properties) > 0 {
		schema.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: false}
	}
	for name, property := range schema.Properties {
		refuseUnknownFields(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		refuseUnknownFields(schema.Items.Schema)
	}
	if more := schema.AdditionalProperties; more != nil && more.Schema != nil {
		refuseUnknownFields(more.Schema)
	}
}
