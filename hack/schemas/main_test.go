// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestRun_OwnCRDs_WritesStrictSchemas(t *testing.T) {
	out := t.TempDir()
	if err := run("../../config/crd/bases", out); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 2 {
		t.Errorf("got files %v (%v), want 2", files, err)
	}
	text, err := os.ReadFile(filepath.Join(out, "plivo.subaccount-operator.dev_subaccount_v1alpha1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		path []string
		want any
	}{
		{[]string{"additionalProperties"}, false},
		{[]string{"properties", "kind", "enum"}, []any{"Subaccount"}},
		{[]string{"properties", "apiVersion", "enum"}, []any{"plivo.subaccount-operator.dev/v1alpha1"}},
		{[]string{"properties", "metadata", "additionalProperties"}, nil},
		{[]string{"properties", "spec", "additionalProperties"}, false},
		{[]string{"properties", "spec", "properties", "deletionPolicy", "enum"}, []any{"Delete", "Orphan"}},
		{[]string{"properties", "spec", "properties", "secret", "properties", "keys", "additionalProperties"}, false},
		{[]string{"properties", "spec", "properties", "secret", "properties", "labels", "additionalProperties", "maxLength"}, 63.0},
	} {
		var got any = schema
		for _, key := range row.path {
			got = got.(map[string]any)[key]
		}
		if !reflect.DeepEqual(got, row.want) {
			t.Errorf("%v: got %v, want %v", row.path, got, row.want)
		}
	}
}
