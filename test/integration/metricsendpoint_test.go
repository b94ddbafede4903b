// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
)

var _ = Describe("The metrics endpoint", func() {
	serve := func(args ...string) (address string) {
		GinkgoHelper()
		address = freeAddress()
		m := startManager(append([]string{"--metrics-bind-address", address, "--account-selector", "serves=nothing"}, args...)...)
		DeferCleanup(func() { Expect(m.stop(syscall.SIGTERM)).To(Succeed()) })
		return address
	}
	scrape := func(client *http.Client, address, authorization string) (status, protocol int) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, 0
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode, resp.ProtoMajor
	}
	clientTrusting := func(roots *x509.CertPool) *http.Client {
		return &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, InsecureSkipVerify: roots == nil}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		}}
	}

	It("serves Prometheus over HTTP/1.1 during a flood of unauthorized requests", func() {
		address, client := serve(), clientTrusting(nil)
		token := serviceAccount("scraper")
		Expect(k8s.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "subaccount-operator-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: "scraper"}},
		})).To(Succeed())
		scraped := func() int { status, _ := scrape(client, address, "Bearer "+token); return status }
		Eventually(scraped).Should(Equal(http.StatusOK))
		_, protocol := scrape(client, address, "")
		Expect(protocol).To(Equal(1))

		done := make(chan struct{})
		stop := sync.OnceFunc(func() { close(done) })
		DeferCleanup(stop)
		var flood sync.WaitGroup
		for i := range 16 {
			flood.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					scrape(client, address, []string{"", "Bearer junk", fmt.Sprintf("Bearer junk-%d-%d", i, n)}[n%3])
				}
			})
		}
		for range 50 {
			Expect(scraped()).To(Equal(http.StatusOK))
		}
		stop()
		flood.Wait()

		By("sending a TokenReview to the API server only for new tokens")
		var before int
		Eventually(func() bool { // the API server logs a request after it has responded
			last := before
			before = tokenReviews()
			return before == last
		}).Should(BeTrue())
		for range 50 {
			scrape(client, address, "")
		}
		Expect(tokenReviews()).To(Equal(before))
		for range 50 {
			Expect(scraped()).To(Equal(http.StatusOK))
		}
		Expect(tokenReviews()).To(BeNumerically("<", before+10))
	})

	It("serves a certificate from a folder and reloads it when it changes", func() {
		dir := GinkgoT().TempDir()
		write := func() *x509.CertPool {
			GinkgoHelper()
			cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(filepath.Join(dir, "server.key"), key, 0o600)).To(Succeed())
			Expect(os.WriteFile(filepath.Join(dir, "server.crt"), cert, 0o600)).To(Succeed())
			roots := x509.NewCertPool()
			Expect(roots.AppendCertsFromPEM(cert)).To(BeTrue())
			return roots
		}
		verified := func(roots *x509.CertPool, address string) func() int {
			return func() int { status, _ := scrape(clientTrusting(roots), address, ""); return status }
		}
		first := write()
		address := serve("--metrics-cert-path", dir, "--metrics-cert-name", "server.crt", "--metrics-cert-key", "server.key")
		Eventually(verified(first, address)).Should(Equal(http.StatusUnauthorized))
		second := write()
		Eventually(verified(second, address)).Should(Equal(http.StatusUnauthorized))
		Expect(verified(first, address)()).To(BeZero())
	})

	It("prevents the start if the certificate is missing", func() {
		m := startManager("--metrics-bind-address", freeAddress(), "--metrics-cert-path", GinkgoT().TempDir())
		Eventually(m.Exited()).Should(BeClosed())
		Expect(logs.String()).To(ContainSubstring("--metrics-cert-path: open "))
	})
})

// tokenReviews counts the TokenReviews that the manager has created.
func tokenReviews() int {
	GinkgoHelper()
	log, err := os.ReadFile(plane.AuditLog)
	Expect(err).NotTo(HaveOccurred())
	return strings.Count(string(log), `"resource":"tokenreviews"`)
}
