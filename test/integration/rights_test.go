package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// right is one verb on one resource, everywhere or in one namespace.
type right struct{ Namespace, Group, Resource, Verb string }

// exempt are rights that no request of the manager shows.
var exempt = map[right]bool{
	// OwnerReferencesPermissionEnforcement asks for it, when a Secret is made.
	{"", v1alpha1.Group, "subaccounts/finalizers", "update"}: true,
	// A look past the cache, when the record of a creation is refused.
	{"", v1alpha1.Group, "subaccounts", "get"}: true,
}

// withoutRole are the namespaces that a spec has kept the Role on Secrets from.
var withoutRole = map[string]bool{}

// writeRightsUsed writes the rights that this process's manager has used to a
// file for expectRightsUsed.
func writeRightsUsed() {
	GinkgoHelper()
	data, err := json.Marshal(slices.Collect(maps.Keys(rightsUsed())))
	Expect(err).NotTo(HaveOccurred())
	name := fmt.Sprintf("%d%s", GinkgoParallelProcess(), rightsSuffix)
	Expect(os.WriteFile(filepath.Join(rightsFolder, name), data, 0o600)).To(Succeed())
}

const rightsSuffix = ".rights.json"

// expectRightsUsed compares what the API servers let the managers of all
// processes do with what the Roles give them: nothing was refused, and nothing
// is given that was not needed.
func expectRightsUsed() {
	GinkgoHelper()
	used := map[right]bool{}
	files, err := filepath.Glob(filepath.Join(rightsFolder, "*"+rightsSuffix))
	Expect(err).NotTo(HaveOccurred())
	suite, _ := GinkgoConfiguration()
	Expect(files).To(HaveLen(suite.ParallelTotal), "one file of each process")
	for _, file := range files {
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		var rights []right
		Expect(json.Unmarshal(data, &rights)).To(Succeed())
		for _, r := range rights {
			used[r] = true
		}
	}
	var unused []right
	for _, granted := range rightsGranted() {
		watch := granted
		watch.Verb = "watch"
		// An API server that cannot stream what there is to begin with is asked for a list.
		if streamed := granted.Verb == "list" && used[watch]; !used[granted] && !streamed && !exempt[granted] {
			unused = append(unused, granted)
		}
	}
	Expect(unused).To(BeEmpty(), "rights of the manager's Roles that it did not use")
}

// rightsUsed counts a right in a namespace as one that is used everywhere, too.
func rightsUsed() map[right]bool {
	GinkgoHelper()
	log, err := os.Open(plane.AuditLog)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = log.Close() }()
	used := map[right]bool{}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var e struct {
			Verb      string `json:"verb"`
			ObjectRef *struct {
				Resource, Subresource, Namespace, APIGroup string
			} `json:"objectRef"`
			Annotations map[string]string `json:"annotations"`
		}
		Expect(json.Unmarshal(lines.Bytes(), &e)).To(Succeed())
		o := e.ObjectRef
		if o != nil && o.Resource == "secrets" && withoutRole[o.Namespace] {
			continue
		}
		Expect(e.Annotations["authorization.k8s.io/decision"]).To(Equal("allow"), lines.Text())
		if o == nil {
			continue // discovery
		}
		resource := strings.TrimSuffix(o.Resource+"/"+o.Subresource, "/")
		used[right{"", o.APIGroup, resource, e.Verb}] = true
		used[right{o.Namespace, o.APIGroup, resource, e.Verb}] = true
	}
	Expect(lines.Err()).NotTo(HaveOccurred())
	Expect(used).NotTo(BeEmpty())
	return used
}

func rightsGranted() []right {
	GinkgoHelper()
	var everywhere rbacv1.ClusterRoleBindingList
	var somewhere rbacv1.RoleBindingList
	Expect(k8s.List(ctx, &everywhere)).To(Succeed())
	Expect(k8s.List(ctx, &somewhere, client.InNamespace(operatorNamespace))).To(Succeed())
	ours := func(subjects []rbacv1.Subject) bool {
		return len(subjects) == 1 && subjects[0].Name == serviceAccountName && subjects[0].Namespace == operatorNamespace
	}
	var all []right
	add := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						all = append(all, right{namespace, group, resource, verb})
					}
				}
			}
		}
	}
	for _, b := range everywhere.Items {
		if ours(b.Subjects) {
			role := &rbacv1.ClusterRole{}
			Expect(k8s.Get(ctx, client.ObjectKey{Name: b.RoleRef.Name}, role)).To(Succeed())
			add("", role.Rules)
		}
	}
	for _, b := range somewhere.Items {
		if ours(b.Subjects) {
			role := &rbacv1.Role{}
			Expect(k8s.Get(ctx, client.ObjectKey{Namespace: b.Namespace, Name: b.RoleRef.Name}, role)).To(Succeed())
			add(b.Namespace, role.Rules)
		}
	}
	Expect(len(all)).To(BeNumerically(">", 10))
	return all
}
