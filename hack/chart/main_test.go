// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

const changelog = `# Changelog

## [Unreleased]

### Added

- Something later.

## [1.2.3]

### Action required

- Rename ` + "`a`" + ` to
  ` + "`b`" + ` first.

### Fixed

- One fault.
- Another one.

## [1.2.2] - 2026-11-26

### Removed

- Something earlier.
`

func TestChangesOf_Version_ReturnsItsSection(t *testing.T) {
	for version, want := range map[string][]change{
		"1.2.3": {{"changed", "Action required: Rename a to b first."}, {"fixed", "One fault."}, {"fixed", "Another one."}},
		"1.2.2": {{"removed", "Something earlier."}},
		"9.9.9": nil,
	} {
		if got := changesOf(changelog, version); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}

func TestAnnotate_Version_SetsAnnotations(t *testing.T) {
	const metadata = `
name: subaccount-operator
annotations:
  artifacthub.io/license: Apache-2.0
  artifacthub.io/images: "- image: example.com/manager:v0.0.0-dev\n"
  artifacthub.io/prerelease: "true"`
	for version, want := range map[string]map[string]string{
		"v1.2.2": {
			"artifacthub.io/license": "Apache-2.0", "artifacthub.io/prerelease": "false",
			"artifacthub.io/images":  "- image: example.com/manager:v1.2.2\n",
			"artifacthub.io/changes": "- description: Something earlier.\n  kind: removed\n",
		},
		"v2.0.0-rc.1": {
			"artifacthub.io/license": "Apache-2.0", "artifacthub.io/prerelease": "true",
			"artifacthub.io/images": "- image: example.com/manager:v2.0.0-rc.1\n",
		},
	} {
		text, err := annotate([]byte(metadata), version, changelog)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Annotations map[string]string }
		if err := yaml.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if got.Annotations[name] != value {
				t.Errorf("%s: got %s %q, want %q", version, name, got.Annotations[name], value)
			}
		}
		if len(got.Annotations) != len(want) {
			t.Errorf("%s: got %v, want %v", version, got.Annotations, want)
		}
	}
}
