// SPDX-License-Identifier: Apache-2.0

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

// exempt are rights that the manager needs although the audit log shows no such request.
var exempt = map[right]bool{
	// The admission plugin OwnerReferencesPermissionEnforcement checks it when the manager creates a Secret.
	{"", v1alpha1.Group, "subaccounts/finalizers", "update"}: true,
	// The manager reads past its cache only if the API server rejects the record of a creation.
	{"", v1alpha1.Group, "subaccounts", "get"}: true,
}

// withoutRole are the namespaces where a spec expects the API server to deny access to Secrets.
var withoutRole = map[string]bool{}

// writeRightsUsed writes a file for expectRightsUsed with the rights that this process's
// manager has used.
func writeRightsUsed() {
	GinkgoHelper()
	data, err := json.Marshal(slices.Collect(maps.Keys(rightsUsed())))
	Expect(err).NotTo(HaveOccurred())
	name := fmt.Sprintf("%d%s", GinkgoParallelProcess(), rightsSuffix)
	Expect(os.WriteFile(filepath.Join(rightsFolder, name), data, 0o600)).To(Succeed())
}

const rightsSuffix = ".rights.json"

// expectRightsUsed checks that the managers of all processes together have used every
// right that their Roles grant.
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
		// The manager lists only if the API server cannot stream the initial objects of a watch.
		isStreamed := granted.Verb == "list" && used[watch]
		if !used[granted] && !isStreamed && !exempt[granted] {
			unused = append(unused, granted)
		}
	}
	Expect(unused).To(BeEmpty(), "rights that the manager has but did not use")
}

// rightsUsed returns the rights in the audit log, and fails if the API server denied one.
// A right that was used in a namespace counts as used in the whole cluster, too.
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
	isManager := func(subjects []rbacv1.Subject) bool {
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
		if isManager(b.Subjects) {
			role := &rbacv1.ClusterRole{}
			Expect(k8s.Get(ctx, client.ObjectKey{Name: b.RoleRef.Name}, role)).To(Succeed())
			add("", role.Rules)
		}
	}
	for _, b := range somewhere.Items {
		if isManager(b.Subjects) {
			role := &rbacv1.Role{}
			Expect(k8s.Get(ctx, client.ObjectKey{Namespace: b.Namespace, Name: b.RoleRef.Name}, role)).To(Succeed())
			add(b.Namespace, role.Rules)
		}
	}
	Expect(len(all)).To(BeNumerically(">", 10))
	return all
}
