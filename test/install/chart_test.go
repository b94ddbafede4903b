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
	"sigs.k8s.io/yaml"
)

var _ = Describe("The chart", func() {
	It("is clean to helm lint --strict", func() {
		_, err := helm("", "", "lint", "--strict", chart)
		Expect(err).NotTo(HaveOccurred())
	})

	It("installs by default what config/default installs", func() {
		const namespace = "subaccount-operator-system"
		rendered, err := template("subaccount-operator", namespace, "")
		Expect(err).NotTo(HaveOccurred())
		// What a second release must not have again is called after its namespace too.
		rendered = regexp.MustCompile(`(?m)\.`+namespace+`$`).ReplaceAllString(rendered, "")
		ofChart := byName(parse(rendered))

		built, err := run(nil, "", dryPlane.Kubectl, "kustomize", "config/default")
		Expect(err).NotTo(HaveOccurred())
		parsed := parse(built)
		for _, o := range parsed {
			if strings.HasPrefix(o.GetKind(), "ValidatingAdmissionPolicy") {
				o.SetNamespace("") // kustomize does not know that they have none
			}
		}
		ofConfig := byName(parsed)
		Expect(ofConfig).To(HaveKey("Namespace//" + namespace))
		delete(ofConfig, "Namespace//"+namespace) // helm's to make

		Expect(slices.Sorted(maps.Keys(ofChart))).To(Equal(slices.Sorted(maps.Keys(ofConfig))))
		Expect(len(ofChart)).To(BeNumerically(">", 20))
		for name, o := range ofConfig {
			Expect(ofChart[name]).To(Equal(o), name)
		}
	})

	It("has a schema for every value and a word on each in docs/install.md", func() {
		var values map[string]any
		var schema struct{ Properties map[string]any }
		read("charts/subaccount-operator/values.yaml", &values)
		read("charts/subaccount-operator/values.schema.json", &schema)
		delete(schema.Properties, "global")  // helm's own
		delete(schema.Properties, "enabled") // a parent chart's condition
		Expect(slices.Sorted(maps.Keys(values))).To(Equal(slices.Sorted(maps.Keys(schema.Properties))))
		page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
		Expect(err).NotTo(HaveOccurred())
		for name := range values {
			Expect(string(page)).To(MatchRegexp("`" + name + "[`.]"))
		}
	})

	It("gives no two releases in two namespaces a name in common", func() {
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

func read(path string, into any) {
	GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(root, path))
	Expect(err).NotTo(HaveOccurred())
	Expect(yaml.Unmarshal(data, into)).To(Succeed())
}

// byName sorts objects by kind, namespace and name, without what the chart says
// of itself and what the API server fills in.
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
