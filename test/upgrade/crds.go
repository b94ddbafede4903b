// SPDX-License-Identifier: Apache-2.0

// Package upgrade has what the tests of upgrades need: the chart of the previous release, and a
// comparison of CRDs. test/install upgrades a cluster from that chart to this one.
package upgrade

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Breaks returns the changes from one release's CRD to the next one's that refuse, drop or change
// an object that the older CRD accepts, or that remove something that clients use. crdify, which
// does most of this, is not on the module proxy, and it does not compare CEL rules.
func Breaks(older, newer *apiextensionsv1.CustomResourceDefinition) []string {
	f := finder{}
	o, n := older.Spec, newer.Spec
	f.check("group", o.Group != n.Group, "changed from %s to %s", o.Group, n.Group)
	f.check("scope", o.Scope != n.Scope, "changed from %s to %s", o.Scope, n.Scope)
	f.check("names.kind", o.Names.Kind != n.Names.Kind, "changed from %s to %s", o.Names.Kind, n.Names.Kind)
	f.check("names.plural", o.Names.Plural != n.Names.Plural, "changed from %s to %s", o.Names.Plural, n.Names.Plural)
	f.removed("names.shortNames", o.Names.ShortNames, n.Names.ShortNames)
	f.removed("names.categories", o.Names.Categories, n.Names.Categories)
	for i := range o.Versions {
		f.version(&o.Versions[i], n.Versions)
	}
	return f.breaks
}

// finder collects breaks, each as "path: what happened".
type finder struct{ breaks []string }

func (f *finder) check(path string, broken bool, format string, args ...any) {
	if broken {
		f.breaks = append(f.breaks, path+": "+fmt.Sprintf(format, args...))
	}
}

// removed reports the elements that only the older list has.
func (f *finder) removed(path string, older, newer []string) {
	for _, element := range older {
		f.check(path, !slices.Contains(newer, element), "%s removed", element)
	}
}

func (f *finder) version(older *apiextensionsv1.CustomResourceDefinitionVersion, all []apiextensionsv1.CustomResourceDefinitionVersion) {
	i := slices.IndexFunc(all, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == older.Name })
	if i < 0 {
		f.check(older.Name, true, "version removed")
		return
	}
	newer := &all[i]
	f.check(older.Name, older.Served && !newer.Served, "version no longer served")
	f.check(older.Name, older.Storage && !newer.Storage, "no longer the storage version")
	f.removed(older.Name+" selectableFields", jsonPaths(older.SelectableFields), jsonPaths(newer.SelectableFields))
	had, has := cmp.Or(older.Subresources, &apiextensionsv1.CustomResourceSubresources{}), cmp.Or(newer.Subresources, &apiextensionsv1.CustomResourceSubresources{})
	f.check(older.Name, (had.Status == nil) != (has.Status == nil), "status subresource added or removed")
	f.check(older.Name, had.Scale != nil && !reflect.DeepEqual(had.Scale, has.Scale), "scale subresource changed")
	if older.Schema != nil && newer.Schema != nil {
		f.schema(older.Name, older.Schema.OpenAPIV3Schema, newer.Schema.OpenAPIV3Schema)
	}
}

func jsonPaths(fields []apiextensionsv1.SelectableField) (paths []string) {
	for _, field := range fields {
		paths = append(paths, field.JSONPath)
	}
	return paths
}

// schema compares the schemas of one value.
func (f *finder) schema(path string, older, newer *apiextensionsv1.JSONSchemaProps) {
	f.check(path, older.Type != newer.Type, "type changed from %s to %s", older.Type, newer.Type)
	f.check(path, newer.Format != "" && older.Format != newer.Format, "format changed from %q to %q", older.Format, newer.Format)
	f.check(path, older.Nullable && !newer.Nullable, "no longer nullable")
	f.check(path, older.XIntOrString && !newer.XIntOrString, "no longer an integer or a string")
	f.check(path, isTrue(older.XPreserveUnknownFields) && !isTrue(newer.XPreserveUnknownFields), "drops unknown fields")
	f.check(path, older.Default != nil && !reflect.DeepEqual(older.Default, newer.Default), "default changed")
	f.lists(path, older, newer)
	f.bounds(path, older, newer)
	f.values(path, older, newer)
	f.children(path, older, newer)
}

// lists compares what server-side apply reads: a change of it moves the owners of fields.
func (f *finder) lists(path string, older, newer *apiextensionsv1.JSONSchemaProps) {
	f.check(path, !reflect.DeepEqual(older.XListType, newer.XListType), "x-kubernetes-list-type changed")
	f.check(path, !slices.Equal(older.XListMapKeys, newer.XListMapKeys), "x-kubernetes-list-map-keys changed")
	f.check(path, !reflect.DeepEqual(older.XMapType, newer.XMapType), "x-kubernetes-map-type changed")
}

// bounds compares numbers that limit a value.
func (f *finder) bounds(path string, older, newer *apiextensionsv1.JSONSchemaProps) {
	for _, b := range []struct {
		name         string
		older, newer *int64
		upper        bool
	}{
		{"maxLength", older.MaxLength, newer.MaxLength, true},
		{"maxItems", older.MaxItems, newer.MaxItems, true},
		{"maxProperties", older.MaxProperties, newer.MaxProperties, true},
		{"minLength", older.MinLength, newer.MinLength, false},
		{"minItems", older.MinItems, newer.MinItems, false},
		{"minProperties", older.MinProperties, newer.MinProperties, false},
	} {
		f.check(path, isTighter(b.older, b.newer, b.upper), "%s tightened", b.name)
	}
	f.check(path, isTighter(older.Maximum, newer.Maximum, true), "maximum tightened")
	f.check(path, isTighter(older.Minimum, newer.Minimum, false), "minimum tightened")
	f.check(path, newer.ExclusiveMaximum && !older.ExclusiveMaximum, "exclusiveMaximum tightened")
	f.check(path, newer.ExclusiveMinimum && !older.ExclusiveMinimum, "exclusiveMinimum tightened")
	f.check(path, newer.UniqueItems && !older.UniqueItems, "uniqueItems tightened")
	f.check(path, newer.MultipleOf != nil && !reflect.DeepEqual(older.MultipleOf, newer.MultipleOf), "multipleOf changed")
}

// isTighter returns whether a bound allows less than before. No bound allows everything.
func isTighter[N cmp.Ordered](older, newer *N, upper bool) bool {
	switch {
	case newer == nil:
		return false
	case older == nil:
		return true
	case upper:
		return *newer < *older
	default:
		return *newer > *older
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

// values compares what else decides whether a value is valid. The text of a pattern or of a rule
// does not show whether a change widens it, so that each change counts.
func (f *finder) values(path string, older, newer *apiextensionsv1.JSONSchemaProps) {
	f.check(path, newer.Pattern != "" && newer.Pattern != older.Pattern, "pattern %s added", newer.Pattern)
	f.check(path, len(older.Enum) == 0 && len(newer.Enum) > 0, "enum added")
	if len(newer.Enum) > 0 {
		f.removed(path+" enum", jsonTexts(older.Enum), jsonTexts(newer.Enum))
	}
	for _, name := range newer.Required {
		// The API server sets defaults before it validates.
		hasDefault := newer.Properties[name].Default != nil
		f.check(path, !slices.Contains(older.Required, name) && !hasDefault, "%s is now required", name)
	}
	for _, rule := range newer.XValidations {
		known := slices.ContainsFunc(older.XValidations, func(r apiextensionsv1.ValidationRule) bool { return r.Rule == rule.Rule })
		f.check(path, !known, "rule %s added", rule.Rule)
	}
	f.check(path, !reflect.DeepEqual([]any{older.AllOf, older.AnyOf, older.OneOf, older.Not}, []any{newer.AllOf, newer.AnyOf, newer.OneOf, newer.Not}),
		"allOf, anyOf, oneOf or not changed")
}

func jsonTexts(values []apiextensionsv1.JSON) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(v.Raw))
	}
	return texts
}

// children compares the fields, elements and map values of both schemas.
func (f *finder) children(path string, older, newer *apiextensionsv1.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(older.Properties)) {
		o, field := older.Properties[name], path+"."+name
		n, ok := newer.Properties[name]
		if !ok {
			f.check(field, !isTrue(newer.XPreserveUnknownFields), "field removed")
			continue
		}
		f.schema(field, &o, &n)
	}
	if older.Items != nil && newer.Items != nil && older.Items.Schema != nil && newer.Items.Schema != nil {
		f.schema(path+"[]", older.Items.Schema, newer.Items.Schema)
	}
	o, n := older.AdditionalProperties, newer.AdditionalProperties
	f.check(path, o != nil && n == nil, "no longer a map")
	if o != nil && n != nil && o.Schema != nil && n.Schema != nil {
		f.schema(path+"[*]", o.Schema, n.Schema)
	}
}
