// SPDX-License-Identifier: Apache-2.0

//go:build node

package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

const (
	operatorRepository = "localhost/subaccount-operator"
	operatorVersion    = "v9.8.7"
	programImage       = "localhost/node-program:test"
)

// skipUnlessPossible skips the test on a machine that cannot run a node.
func skipUnlessPossible(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a node needs Linux and root")
	}
	for _, program := range []string{"containerd", "ctr", "runc", "buildah", "ip", "/usr/lib/cni/bridge"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a node needs %s: apt-get install --no-install-recommends containerd runc buildah iproute2 containernetworking-plugins", program)
		}
	}
	for _, cgroup := range []string{"/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"} {
		if _, err := os.Stat(cgroup); err == nil {
			return
		}
	}
	t.Skip("a node needs cgroups at /sys/fs/cgroup")
}

// buildImages builds the operator's image as a release does, and that of the test's own
// program. It returns their archives.
func buildImages(t *testing.T, dir string) (archives []string) {
	t.Helper()
	root, err := controlplane.Root()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	operator := operatorRepository + ":" + operatorVersion
	run(t, "make", "-C", root, "docker-build", "CONTAINER_TOOL=buildah", "PLATFORMS=linux/"+runtime.GOARCH, "IMG="+operator, "VERSION="+operatorVersion)

	folder := filepath.Join(dir, "program")
	NewWithT(t).Expect(os.Mkdir(folder, 0o755)).To(Succeed())
	t.Setenv("CGO_ENABLED", "0")
	run(t, "go", "build", "-trimpath", "-o", filepath.Join(folder, "program"), "./program")
	containerfile := "FROM scratch\nCOPY program /program\nUSER 65532:65532\nENTRYPOINT [\"/program\"]\n"
	NewWithT(t).Expect(os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(containerfile), 0o600)).To(Succeed())
	run(t, "buildah", "bud", "--isolation", "chroot", "--tag", programImage, folder)

	for file, image := range map[string]string{"operator.tar": operator, "program.tar": programImage} {
		archive := filepath.Join(dir, file)
		run(t, "buildah", "push", image, "docker-archive:"+archive+":"+image)
		archives = append(archives, archive)
	}
	return archives
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
