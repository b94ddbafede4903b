// SPDX-License-Identifier: Apache-2.0

// Command chart copies the Helm chart for a release, with the annotations that Artifact Hub reads:
// the changes of that version from the changelog, the image's tag, and whether it is a prerelease.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// developmentVersion is the version in Chart.yaml.
const developmentVersion = "v0.0.0-dev"

func main() {
	version := flag.String("version", "", "the release's `version`, v1.2.3")
	chart := flag.String("chart", "charts/subaccount-operator", "`folder` of the chart")
	changelog := flag.String("changelog", "CHANGELOG.md", "the `file` with the changes")
	out := flag.String("out", "", "`folder` to copy to; it must not exist")
	flag.Parse()
	if err := run(*version, *chart, *changelog, *out); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(version, chart, changelog, out string) error {
	if err := os.CopyFS(out, os.DirFS(chart)); err != nil {
		return err
	}
	path := filepath.Join(out, "Chart.yaml")
	metadata, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	log, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	if metadata, err = annotate(metadata, version, string(log)); err != nil {
		return err
	}
	return os.WriteFile(path, metadata, 0o644)
}

// annotate returns Chart.yaml with the annotations of a version.
func annotate(metadata []byte, version, changelog string) ([]byte, error) {
	var chart map[string]any
	if err := yaml.Unmarshal(metadata, &chart); err != nil {
		return nil, err
	}
	annotations, ok := chart["annotations"].(map[string]any)
	if !ok {
		return nil, errors.New("no annotations in Chart.yaml")
	}
	const images = "artifacthub.io/images"
	annotations[images] = strings.ReplaceAll(fmt.Sprint(annotations[images]), developmentVersion, version)
	annotations["artifacthub.io/prerelease"] = strconv.FormatBool(strings.Contains(version, "-"))
	if changes := changesOf(changelog, strings.TrimPrefix(version, "v")); len(changes) > 0 {
		list, err := yaml.Marshal(changes)
		if err != nil {
			return nil, err
		}
		annotations["artifacthub.io/changes"] = string(list)
	}
	return yaml.Marshal(chart)
}

// change is an entry of the annotation artifacthub.io/changes.
type change struct {
	Kind        string `json:"kind"`
	Description string `json:"description"`
}

var item = regexp.MustCompile(`(?m)^- `)

// changesOf returns the changes in the changelog's section of a version, or none if it has no such
// section. The headings are Artifact Hub's kinds, except for required actions.
func changesOf(changelog, version string) (changes []change) {
	_, section, _ := strings.Cut(changelog, "\n## ["+version+"]")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, part := range strings.Split(section, "\n### ")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		for _, text := range item.Split(body, -1)[1:] {
			// Artifact Hub shows plain text.
			text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "`", "")
			kind := strings.ToLower(heading)
			if heading == "Action required" {
				kind, text = "changed", heading+": "+text
			}
			changes = append(changes, change{kind, text})
		}
	}
	return changes
}
