// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/tls"
	"net/http"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("The metrics endpoint", func() {
	It("serves HTTPS to authorized users until their binding is deleted", func() {
		address := freeAddress()
		m := startManager("--metrics-bind-address", address, "--account-selector", "serves=nothing")
		DeferCleanup(func() { Expect(m.stop(syscall.SIGTERM)).To(Succeed()) })

		insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		status := func(method, path, authorization string) func() int {
			return func() int {
				req, err := http.NewRequestWithContext(ctx, method, "https://"+address+path, http.NoBody)
				Expect(err).NotTo(HaveOccurred())
				if authorization != "" {
					req.Header.Set("Authorization", authorization)
				}
				resp, err := insecure.Do(req)
				if err != nil {
					return 0 // the endpoint does not listen yet
				}
				defer func() { _ = resp.Body.Close() }()
				return resp.StatusCode
			}
		}
		Eventually(status("GET", "/metrics", "")).Should(Equal(http.StatusUnauthorized))
		plain, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/metrics", http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		resp, err := http.DefaultClient.Do(plain)
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.Body.Close()).To(Succeed())
		Expect(resp.StatusCode).To(Equal(http.StatusBadRequest), "plain HTTP")

		stranger, reader := serviceAccount("stranger"), serviceAccount("prometheus")
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "metrics-reader"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "subaccount-operator-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: "prometheus"}},
		}
		Expect(k8s.Create(ctx, binding)).To(Succeed())
		for _, authorization := range []string{"Bearer", "Bearer ", "Bearer no-token", "Basic " + reader, reader} {
			Expect(status("GET", "/metrics", authorization)()).To(Equal(http.StatusUnauthorized), authorization)
		}
		Expect(status("GET", "/metrics", "Bearer "+stranger)()).To(Equal(http.StatusForbidden))
		Eventually(status("GET", "/metrics", "Bearer "+reader)).Should(Equal(http.StatusOK))
		Expect(status("GET", "/metrics", "bearer "+reader)()).To(Equal(http.StatusOK), "the scheme is case-insensitive")
		Expect(status("POST", "/metrics", "Bearer "+reader)()).To(Equal(http.StatusForbidden), "another verb")

		By("serving no debug endpoints, not even to a cluster administrator")
		admin := serviceAccount("debugger")
		everything := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "debugger"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: "debugger"}},
		}
		Expect(k8s.Create(ctx, everything)).To(Succeed())
		Eventually(status("GET", "/metrics", "Bearer "+admin)).Should(Equal(http.StatusOK))
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/"} {
			Expect(status("GET", path, "Bearer "+admin)()).To(Equal(http.StatusNotFound), path)
		}
		Expect(k8s.Delete(ctx, everything)).To(Succeed())
		Expect(k8s.Delete(ctx, binding)).To(Succeed())
		Eventually(status("GET", "/metrics", "Bearer "+reader)).Should(Equal(http.StatusForbidden))
	})
})

// serviceAccount creates a ServiceAccount in the operator's namespace and returns a
// token of it.
func serviceAccount(name string) (token string) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}}
	Expect(k8s.Create(ctx, account)).To(Succeed())
	request := &authenticationv1.TokenRequest{}
	Expect(k8s.SubResource("token").Create(ctx, account, request)).To(Succeed())
	tokens = append(tokens, request.Status.Token)
	return request.Status.Token
}
