// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
)

type (
	crd    = apiextensionsv1.CustomResourceDefinition
	schema = apiextensionsv1.JSONSchemaProps
)

// example returns a CRD with one field of each kind.
func example() *crd {
	raw := func(text string) apiextensionsv1.JSON { return apiextensionsv1.JSON{Raw: []byte(text)} }
	spec := schema{
		Type: "object", Required: []string{"name"},
		Properties: map[string]schema{
			"name": {Type: "string", MaxLength: ptr.To[int64](64), MinLength: ptr.To[int64](1), Pattern: "^a"},
			"mode": {Type: "string", Enum: []apiextensionsv1.JSON{raw(`"A"`), raw(`"B"`)}, Default: ptr.To(raw(`"A"`))},
			"size": {Type: "integer", Format: "int32", Maximum: ptr.To(10.0), Minimum: ptr.To(1.0), Nullable: true},
			"list": {
				Type: "array", MaxItems: ptr.To[int64](3), XListType: ptr.To("set"),
				Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &schema{Type: "string", MaxLength: ptr.To[int64](5)}},
			},
			"map": {
				Type: "object", MaxProperties: ptr.To[int64](3),
				AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &schema{Type: "string", MaxLength: ptr.To[int64](5)}},
			},
			"open": {Type: "object", XPreserveUnknownFields: ptr.To(true)},
		},
		XValidations: []apiextensionsv1.ValidationRule{{Rule: "self.name != 'x'", Message: "x is reserved"}},
	}
	return &crd{Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Thing", Plural: "things", ShortNames: []string{"th"}},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: "v1", Served: true, Storage: true,
			Schema:           &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &schema{Type: "object", Properties: map[string]schema{"spec": spec}}},
			SelectableFields: []apiextensionsv1.SelectableField{{JSONPath: ".spec.name"}},
			Subresources:     &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
		}},
	}}
}

func version(c *crd) *apiextensionsv1.CustomResourceDefinitionVersion { return &c.Spec.Versions[0] }

// spec changes the schema of spec.
func spec(change func(s *schema)) func(*crd) {
	return func(c *crd) {
		s := version(c).Schema.OpenAPIV3Schema.Properties["spec"]
		change(&s)
		version(c).Schema.OpenAPIV3Schema.Properties["spec"] = s
	}
}

// field changes the schema of a field of spec.
func field(name string, change func(s *schema)) func(*crd) {
	return spec(func(s *schema) {
		f := s.Properties[name]
		change(&f)
		s.Properties[name] = f
	})
}

func TestBreaks_ChangeOfCRD_ReportsIncompatible(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*crd)
		want   []string
	}{
		"none":                       {func(*crd) {}, nil},
		"group":                      {func(c *crd) { c.Spec.Group = "other" }, []string{"group: changed from example.com to other"}},
		"scope":                      {func(c *crd) { c.Spec.Scope = "Cluster" }, []string{"scope: changed from Namespaced to Cluster"}},
		"kind":                       {func(c *crd) { c.Spec.Names.Kind = "Other" }, []string{"names.kind: changed from Thing to Other"}},
		"short name removed":         {func(c *crd) { c.Spec.Names.ShortNames = nil }, []string{"names.shortNames: th removed"}},
		"short name added":           {func(c *crd) { c.Spec.Names.ShortNames = []string{"th", "t"} }, nil},
		"version removed":            {func(c *crd) { version(c).Name = "v2" }, []string{"v1: version removed"}},
		"version not served":         {func(c *crd) { version(c).Served = false }, []string{"v1: version no longer served"}},
		"storage version":            {func(c *crd) { version(c).Storage = false }, []string{"v1: no longer the storage version"}},
		"selectable field removed":   {func(c *crd) { version(c).SelectableFields = nil }, []string{"v1 selectableFields: .spec.name removed"}},
		"status subresource removed": {func(c *crd) { version(c).Subresources = nil }, []string{"v1: status subresource added or removed"}},

		"field removed":           {spec(func(s *schema) { delete(s.Properties, "name"); s.Required = nil }), []string{"v1.spec.name: field removed"}},
		"field added":             {spec(func(s *schema) { s.Properties["new"] = schema{Type: "string", MaxLength: ptr.To[int64](1)} }), nil},
		"required field added":    {spec(func(s *schema) { s.Properties["new"] = schema{}; s.Required = []string{"name", "new"} }), []string{"v1.spec: new is now required"}},
		"required with a default": {spec(func(s *schema) { s.Required = []string{"mode", "name"} }), nil},
		"no longer required":      {spec(func(s *schema) { s.Required = nil }), nil},
		"rule added": {spec(func(s *schema) {
			s.XValidations = append(s.XValidations, apiextensionsv1.ValidationRule{Rule: "self.size > 1"})
		}), []string{"v1.spec: rule self.size > 1 added"}},
		"rule changed":         {spec(func(s *schema) { s.XValidations = []apiextensionsv1.ValidationRule{{Rule: "false"}} }), []string{"v1.spec: rule false added"}},
		"rule removed":         {spec(func(s *schema) { s.XValidations = nil }), nil},
		"message of a rule":    {spec(func(s *schema) { s.XValidations[0].Message = "other" }), nil},
		"anyOf added":          {spec(func(s *schema) { s.AnyOf = []schema{{}} }), []string{"v1.spec: allOf, anyOf, oneOf or not changed"}},
		"description":          {field("name", func(s *schema) { s.Description = "other" }), nil},
		"type changed":         {field("name", func(s *schema) { s.Type = "integer" }), []string{"v1.spec.name: type changed from string to integer"}},
		"format changed":       {field("size", func(s *schema) { s.Format = "int16" }), []string{`v1.spec.size: format changed from "int32" to "int16"`}},
		"format removed":       {field("size", func(s *schema) { s.Format = "" }), nil},
		"no longer nullable":   {field("size", func(s *schema) { s.Nullable = false }), []string{"v1.spec.size: no longer nullable"}},
		"maxLength lower":      {field("name", func(s *schema) { s.MaxLength = ptr.To[int64](63) }), []string{"v1.spec.name: maxLength tightened"}},
		"maxLength higher":     {field("name", func(s *schema) { s.MaxLength = ptr.To[int64](65) }), nil},
		"maxLength removed":    {field("name", func(s *schema) { s.MaxLength = nil }), nil},
		"minLength higher":     {field("name", func(s *schema) { s.MinLength = ptr.To[int64](2) }), []string{"v1.spec.name: minLength tightened"}},
		"minLength added":      {field("mode", func(s *schema) { s.MinLength = ptr.To[int64](1) }), []string{"v1.spec.mode: minLength tightened"}},
		"minLength lower":      {field("name", func(s *schema) { s.MinLength = ptr.To[int64](0) }), nil},
		"maximum lower":        {field("size", func(s *schema) { s.Maximum = ptr.To(9.0) }), []string{"v1.spec.size: maximum tightened"}},
		"minimum higher":       {field("size", func(s *schema) { s.Minimum = ptr.To(2.0) }), []string{"v1.spec.size: minimum tightened"}},
		"bounds exclusive":     {field("size", func(s *schema) { s.ExclusiveMinimum = true }), []string{"v1.spec.size: exclusiveMinimum tightened"}},
		"multipleOf added":     {field("size", func(s *schema) { s.MultipleOf = ptr.To(2.0) }), []string{"v1.spec.size: multipleOf changed"}},
		"pattern changed":      {field("name", func(s *schema) { s.Pattern = "^ab" }), []string{"v1.spec.name: pattern ^ab added"}},
		"pattern added":        {field("mode", func(s *schema) { s.Pattern = "^A$" }), []string{"v1.spec.mode: pattern ^A$ added"}},
		"pattern removed":      {field("name", func(s *schema) { s.Pattern = "" }), nil},
		"enum value removed":   {field("mode", func(s *schema) { s.Enum = s.Enum[:1] }), []string{`v1.spec.mode enum: "B" removed`}},
		"enum value added":     {field("mode", func(s *schema) { s.Enum = append(s.Enum, apiextensionsv1.JSON{Raw: []byte(`"C"`)}) }), nil},
		"enum removed":         {field("mode", func(s *schema) { s.Enum = nil }), nil},
		"enum added":           {field("name", func(s *schema) { s.Enum = []apiextensionsv1.JSON{{Raw: []byte(`"A"`)}} }), []string{"v1.spec.name: enum added"}},
		"default changed":      {field("mode", func(s *schema) { s.Default = &apiextensionsv1.JSON{Raw: []byte(`"B"`)} }), []string{"v1.spec.mode: default changed"}},
		"default removed":      {field("mode", func(s *schema) { s.Default = nil }), []string{"v1.spec.mode: default changed"}},
		"list type changed":    {field("list", func(s *schema) { s.XListType = ptr.To("atomic") }), []string{"v1.spec.list: x-kubernetes-list-type changed"}},
		"maxItems lower":       {field("list", func(s *schema) { s.MaxItems = ptr.To[int64](2) }), []string{"v1.spec.list: maxItems tightened"}},
		"elements tightened":   {field("list", func(s *schema) { s.Items.Schema.MaxLength = ptr.To[int64](4) }), []string{"v1.spec.list[]: maxLength tightened"}},
		"maxProperties lower":  {field("map", func(s *schema) { s.MaxProperties = ptr.To[int64](2) }), []string{"v1.spec.map: maxProperties tightened"}},
		"map values tightened": {field("map", func(s *schema) { s.AdditionalProperties.Schema.MaxLength = ptr.To[int64](4) }), []string{"v1.spec.map[*]: maxLength tightened"}},
		"no longer a map":      {field("map", func(s *schema) { s.AdditionalProperties = nil }), []string{"v1.spec.map: no longer a map"}},
		"unknown fields drop":  {field("open", func(s *schema) { s.XPreserveUnknownFields = nil }), []string{"v1.spec.open: drops unknown fields"}},
	} {
		t.Run(name, func(t *testing.T) {
			older, newer := example(), example()
			test.change(newer)
			if got := Breaks(older, newer); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
