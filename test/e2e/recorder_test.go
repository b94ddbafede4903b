// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// recorder polls the tokens that exist, and stores logs, metrics, events and resources as
// files in the folder shown.
type recorder struct {
	w     *world
	shown string
	stop  func()

	mu      sync.Mutex
	tokens  map[string]string // authID by token
	scrapes int
}

func newRecorder(w *world) *recorder {
	s := &recorder{w: w, shown: filepath.Join(w.dir, "shown"), tokens: map[string]string{w.plivo.token: w.plivo.account}}
	Expect(os.Mkdir(s.shown, 0o700)).To(Succeed())
	metrics, err := os.Create(filepath.Join(s.shown, "metrics"))
	Expect(err).NotTo(HaveOccurred())
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-ending:
				return
			case <-time.After(200 * time.Millisecond):
			}
			s.recordTokens()
			if i%10 == 0 {
				s.scrape(metrics)
			}
		}
	}()
	s.stop = sync.OnceFunc(func() {
		close(ending)
		<-ended
		_ = metrics.Close()
	})
	return s
}

func (s *recorder) recordTokens() {
	all, err := s.w.plivo.list()
	if err != nil {
		return // the simulator is paused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range all {
		s.tokens[row.AuthToken] = row.AuthID
	}
}

// scrape reads the metrics of every running manager.
func (s *recorder) scrape(into io.Writer) {
	s.w.mu.Lock()
	managers := s.w.managers
	s.w.mu.Unlock()
	for _, m := range managers {
		if !m.isRunning() {
			continue
		}
		scraper := http.Client{Timeout: time.Second}
		resp, err := scraper.Get(m.metrics)
		if err != nil {
			continue // the manager starts or stops
		}
		if n, _ := io.Copy(into, resp.Body); n > 0 {
			s.mu.Lock()
			s.scrapes++
			s.mu.Unlock()
		}
		_ = resp.Body.Close()
	}
}

// saveResources writes resources and events to files. A spec calls it before it restores
// etcd or uninstalls, because both remove them.
func (s *recorder) saveResources(moment string) {
	for name, list := range map[string]client.ObjectList{
		"subaccounts": &v1alpha1.SubaccountList{}, "accounts": &v1alpha1.AccountList{},
		"events": &corev1.EventList{}, "events.events.k8s.io": &eventsv1.EventList{},
	} {
		if err := s.w.k8s.List(ctx, list); err != nil {
			s.w.logf("%s: %v", name, err) // expected after the uninstallation
			continue
		}
		text, err := json.MarshalIndent(list, "", " ")
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(s.shown, name+"-"+moment), text, 0o600)).To(Succeed())
	}
}

var crash = regexp.MustCompile(`(?m)^panic|Observed a panic|^fatal error:|^goroutine \d+ \[|DATA RACE|Request Body`)

// expectNoTokens checks that no stored file contains a token in any form, and that no log
// reports a crash.
func (s *recorder) expectNoTokens() {
	s.recordTokens()
	s.saveResources("at-the-end")
	var secrets corev1.SecretList
	Expect(s.w.k8s.List(ctx, &secrets)).To(Succeed())
	text, err := json.Marshal(secrets)
	Expect(err).NotTo(HaveOccurred())
	Expect(s.tokensIn(text)).To(ContainElement(s.w.plivo.account), "the search must find the token in the credentials Secret")

	logs, err := filepath.Glob(filepath.Join(s.shown, "manager-*.log"))
	Expect(err).NotTo(HaveOccurred())
	Expect(logs).To(HaveLen(len(s.w.managers)))
	Expect(s.scrapes).To(BeNumerically(">=", 3))
	files, err := filepath.Glob(filepath.Join(s.shown, "*"))
	Expect(err).NotTo(HaveOccurred())
	size := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		size += len(content)
		Expect(s.tokensIn(content)).To(BeEmpty(), "authIDs whose tokens are in "+file)
		Expect(string(crash.Find(content))).To(BeEmpty(), file)
	}
	s.w.logf("searched %d files, %d MB, for %d tokens", len(files), size>>20, len(s.tokens))
}

// tokensIn returns the authIDs of the tokens in a text. It finds the last 16 characters
// of a token, plain or as part of a longer base64 text.
func (s *recorder) tokensIn(text []byte) []string {
	const enough = 16
	s.mu.Lock()
	parts := map[string]string{}
	for token, id := range s.tokens {
		parts[token[len(token)-enough:]] = id
		for shift := range 3 { // where the token begins within base64's groups of three
			parts[base64.StdEncoding.EncodeToString([]byte(token[len(token)-enough-shift:]))[:enough]] = id
		}
	}
	s.mu.Unlock()
	found := map[string]bool{}
	for i := range max(0, len(text)-enough+1) {
		if id, ok := parts[string(text[i:i+enough])]; ok {
			found[id] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// writeEvidence writes the calls and subaccounts of a failed spec to files.
func (w *world) writeEvidence() {
	for name, what := range map[string]string{"calls": "calls", "subaccounts-at-plivo": "subaccounts"} {
		var all any
		err := w.plivo.control(http.MethodGet, what, nil, &all)
		text, _ := json.MarshalIndent(all, "", " ")
		if err != nil {
			text = []byte(err.Error())
		}
		_ = os.WriteFile(filepath.Join(w.dir, name), text, 0o600)
	}
	GinkgoWriter.Printf("E2E_SEED=%d. Evidence is in %s: logs, metrics, events, resources, calls.\n", seed, w.dir)
}
