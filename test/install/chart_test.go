// SPDX-License-Identifier: Apache-2.0

package install

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

var _ = Describe("The chart", func() {
	It("passes helm lint --strict", func() {
		_, err := helm("", "", "lint", "--strict", chart)
		Expect(err).NotTo(HaveOccurred())
	})

	It("installs by default the same objects as config/default", func() {
		const namespace = "subaccount-operator-system"
		rendered, err := template("subaccount-operator", namespace, "")
		Expect(err).NotTo(HaveOccurred())
		// The names of cluster-wide objects contain the namespace, so that they differ between releases.
		rendered = regexp.MustCompile(`(?m)\.`+namespace+`$`).ReplaceAllString(rendered, "")
		ofChart := byName(parse(rendered))

		built, err := run(nil, "", dryPlane.Kubectl, "kustomize", "config/default")
		Expect(err).NotTo(HaveOccurred())
		parsed := parse(built)
		for _, o := range parsed {
			if strings.HasPrefix(o.GetKind(), "ValidatingAdmissionPolicy") {
				o.SetNamespace("") // kustomize sets a namespace, because it does not know this cluster-wide kind
			}
		}
		ofConfig := byName(parsed)
		Expect(ofConfig).To(HaveKey("Namespace//" + namespace))
		delete(ofConfig, "Namespace//"+namespace) // helm creates it with --create-namespace

		Expect(slices.Sorted(maps.Keys(ofChart))).To(Equal(slices.Sorted(maps.Keys(ofConfig))))
		Expect(len(ofChart)).To(BeNumerically(">", 20))
		for name, o := range ofConfig {
			Expect(ofChart[name]).To(Equal(o), name)
		}
	})

	It("has a schema and a row in its README for every value", func() {
		var values map[string]any
		var schema struct{ Properties map[string]any }
		read("charts/subaccount-operator/values.yaml", &values)
		read("charts/subaccount-operator/values.schema.json", &schema)
		delete(schema.Properties, "global")  // helm defines this value
		delete(schema.Properties, "enabled") // a parent chart's condition
		Expect(slices.Sorted(maps.Keys(values))).To(Equal(slices.Sorted(maps.Keys(schema.Properties))))
		page, err := os.ReadFile(filepath.Join(chart, "README.md"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(page)).NotTo(ContainSubstring("|  |"), "a value without a comment that begins with --")
		var undescribed []string
		walk("", values, func(path string) bool {
			return regexp.MustCompile(`\| .` + path + `. \| .+ \| .+ \|\n`).MatchString(string(page))
		}, &undescribed)
		Expect(undescribed).To(BeEmpty())
	})

	It("has annotations for Artifact Hub that match the chart", func() {
		var metadata struct{ Annotations map[string]string }
		read("charts/subaccount-operator/Chart.yaml", &metadata)
		annotation := func(name string) (list objects) {
			var entries []map[string]any
			Expect(yaml.UnmarshalStrict([]byte(metadata.Annotations["artifacthub.io/"+name]), &entries)).To(Succeed())
			for _, entry := range entries {
				list = append(list, &unstructured.Unstructured{Object: entry})
			}
			return list
		}
		rendered, err := template("subaccount-operator", "subaccount-operator-system", "")
		Expect(err).NotTo(HaveOccurred())
		all := parse(rendered)

		images := annotation("images")
		Expect(images).NotTo(BeEmpty())
		Expect(images[0].Object).To(HaveKeyWithValue("image", all.pod().Spec.Containers[0].Image))
		crds := all.of("CustomResourceDefinition")
		Expect(annotation("crds")).To(HaveLen(len(crds)))
		for i, described := range annotation("crds") {
			Expect(described.Object).To(HaveKeyWithValue("name", crds[i].GetName()))
		}
		examples := annotation("crdsExamples")
		Expect(examples).To(HaveLen(len(crds)))
		for i, example := range examples {
			Expect(example.GetKind()).To(Equal(annotation("crds")[i].GetKind()))
			Expect(dryClient.Create(ctx, example, client.DryRunAll)).To(Succeed())
		}
	})

	It("gives releases in two namespaces distinct object names", func() {
		seen := map[string]bool{}
		for _, namespace := range []string{"one", "two"} {
			rendered, err := template("operator", namespace, "crds: {enabled: false}\nwatchNamespaces: [tenant]\nadoptionPolicy: {enabled: true}")
			Expect(err).NotTo(HaveOccurred())
			for name := range byName(parse(rendered)) {
				Expect(seen).NotTo(HaveKey(name))
				seen[name] = true
			}
		}
		Expect(seen).To(HaveKey("Role/tenant/operator-subaccount-operator-secrets-role.one"))
	})
})

// walk collects the paths of values that are neither described nor part of a described value.
func walk(path string, value any, isDescribed func(path string) bool, undescribed *[]string) {
	fields, isMap := value.(map[string]any)
	switch {
	case isDescribed(path):
	case !isMap, len(fields) == 0:
		*undescribed = append(*undescribed, path)
	default:
		for name, field := range fields {
			walk(strings.TrimPrefix(path+"."+name, "."), field, isDescribed, undescribed)
		}
	}
}

func read(path string, into any) {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	Expect(yaml.Unmarshal(data, into)).To(Succeed())
}

// byName returns objects by kind, namespace and name, without the chart's own metadata and
// without fields that the API server defaults.
func byName(all objects) map[string]any {
	GinkgoHelper()
	named := map[string]any{}
	for _, o := range all {
		name := strings.Join([]string{o.GetKind(), o.GetNamespace(), o.GetName()}, "/")
		Expect(named).NotTo(HaveKey(name))
		named[name] = without(o.Object, "app.kubernetes.io/version", "app.kubernetes.io/managed-by",
			"app.kubernetes.io/instance", "helm.sh/chart", "helm.sh/resource-policy", "imagePullPolicy", "strategy")
	}
	return named
}

func without(value any, keys ...string) any {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range keys {
			delete(v, key)
		}
		for key := range v {
			v[key] = without(v[key], keys...)
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], keys...)
		}
	}
	return value
}
