// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e runs manager and simulator as processes on a real control plane. Its specs
// kill manager, API server and etcd, cut off Plivo, freeze a leader, uninstall the
// operator, and restore etcd. Each spec ends with a check of the exact rule
// (exact_test.go), and searches logs, metrics, events and resources for tokens. A seed
// determines every random choice.
package e2e

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/subaccount-operator/subaccount-operator/test/process"
)

var (
	ctx  = context.Background()
	seed uint64

	managerBinary, plivoBinary string
)

func TestE2E(t *testing.T) {
	seed = pickSeed(t)
	again := fmt.Sprintf("E2E_SEED=%d make test-e2e", seed)
	fmt.Println("The seed of this run; to repeat it:", again)
	RegisterFailHandler(Fail)
	ctrl.SetLogger(GinkgoLogr) // for envtest and the client
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(250 * time.Millisecond)
	if !RunSpecs(t, "End to end") {
		fmt.Println("To repeat what failed:", again)
	}
}

// pickSeed returns $E2E_SEED or a random seed. It is never 0, because plivo-sim replaces
// a seed of 0 by a random one.
func pickSeed(t *testing.T) uint64 {
	if given := os.Getenv("E2E_SEED"); given != "" {
		parsed, err := strconv.ParseUint(given, 10, 64)
		if err != nil || parsed == 0 {
			t.Fatalf("got E2E_SEED=%q, want a number above 0", given)
		}
		return parsed
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return uint64(binary.LittleEndian.Uint32(b[:])) + 1
}

var _ = BeforeSuite(func() {
	dir := GinkgoT().TempDir()
	var err error
	if os.Getenv("E2E_RACE") != "" { // needs a C compiler, and takes minutes the first time
		managerBinary = filepath.Join(dir, "manager")
		Expect(process.Build("manager", managerBinary, "-race")).To(Succeed())
	} else {
		managerBinary, err = process.Program("manager", dir)
		Expect(err).NotTo(HaveOccurred())
	}
	plivoBinary, err = process.Program("plivo-sim", dir)
	Expect(err).NotTo(HaveOccurred())
})
