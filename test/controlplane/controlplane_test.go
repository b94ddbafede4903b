// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// childVariable makes this test binary start a plane and wait until it is killed.
const childVariable = "CONTROLPLANE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // for envtest
	if dir := os.Getenv(childVariable); dir != "" {
		plane, err := controlplane.Start(controlplane.Options{CRDs: []string{}, ControllerManager: true, Dir: dir})
		if err == nil { // revived servers must end with their parent, too
			err = errors.Join(plane.Kill(controlplane.APIServer, controlplane.Etcd), plane.Revive())
		}
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println(plane.Config.Host)
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, opts controlplane.Options) *controlplane.Plane {
	t.Helper()
	plane, err := controlplane.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	return plane
}

func eventually(t *testing.T, what string, condition func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 3*time.Minute, true, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func isListening(t *testing.T, address string) bool {
	t.Helper()
	location, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", location.Host)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// The subtests share two planes, because each start costs seconds of processor time.
func TestStart_TwoPlanes_RunInParallelAndStopRemovesAll(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	withManager := start(t, controlplane.Options{Dir: dirs[0], ControllerManager: true})
	plain := start(t, controlplane.Options{Dir: dirs[1], CRDs: []string{}})
	home := t.TempDir()
	t.Setenv("HOME", home)

	for plane, want := range map[*controlplane.Plane]string{
		withManager: "accounts.plivo.subaccount-operator.dev\nsubaccounts.plivo.subaccount-operator.dev\n",
		plain:       "",
	} {
		// kubectl says "No resources found" on stderr.
		out, err := plane.RunKubectl(t.Context(), "", "get", "crds", "-o", `jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}`)
		if err != nil {
			t.Fatal(err)
		}
		if out != want {
			t.Errorf("got the CRDs %q, want %q", out, want)
		}
		info, err := os.Stat(plane.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("got mode %v of the kubeconfig, want 0600", info.Mode())
		}
	}
	written, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != 0 {
		t.Errorf("got the files %v in the home folder, want none", written)
	}

	t.Run("kube-controller-manager deletes owned objects and empty namespaces", func(t *testing.T) {
		checkGarbageCollection(t, kubernetes.NewForConfigOrDie(withManager.Config))
	})
	t.Run("Revive starts killed servers with the same flags and data", func(t *testing.T) { checkRevive(t, plain, dirs[1]) })
	t.Run("Restore restores the objects of an older backup", func(t *testing.T) { checkRestore(t, withManager) })

	// An open watch must not delay Stop, and Stop must accept a killed server.
	watch, err := kubernetes.NewForConfigOrDie(plain.Config).CoreV1().Secrets("").Watch(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if err := withManager.Kill(controlplane.APIServer); err != nil {
		t.Fatal(err)
	}

	for i, plane := range []*controlplane.Plane{withManager, plain} {
		for range 2 { // a second Stop does nothing
			if err := plane.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if isListening(t, plane.Config.Host) {
			t.Error("kube-apiserver listens after Stop")
		}
		if isListening(t, plane.Env.ControlPlane.Etcd.URL.String()) {
			t.Error("etcd listens after Stop")
		}
		entries, err := os.ReadDir(dirs[i])
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != 0 {
			t.Errorf("got the files %v after Stop, want none", entries)
		}
	}
}

func checkGarbageCollection(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	namespace, err := client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tenant"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secrets := client.CoreV1().Secrets(namespace.Name)
	owner, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "Secret", Name: owner.Name, UID: owner.UID}}}}
	if _, err := secrets.Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := secrets.Delete(ctx, owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "waiting for the deletion of the owned Secret", func(ctx context.Context) (bool, error) {
		_, err := secrets.Get(ctx, owned.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err := client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "waiting for the deletion of the namespace", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, namespace.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func TestStart_ParentIsKilled_ProgramsEnd(t *testing.T) {
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("setpriv is not installed, so programs can outlive their parent")
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	host, readErr := bufio.NewReader(out).ReadString('\n')
	host = strings.TrimSpace(host)
	programs := processesIn(t, dir)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if readErr != nil || !strings.HasPrefix(host, "https://") || len(programs) != 3 {
		t.Fatalf("got host %q, error %v and programs %q from the child, want three programs", host, readErr, programs)
	}
	eventually(t, "waiting for the end of all programs", func(context.Context) (bool, error) {
		return len(processesIn(t, dir)) == 0 && !isListening(t, host), nil
	})
}

// processesIn returns the command lines of running processes that contain the folder.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "no such process") {
			t.Fatal(err)
		}
		if strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestStart_ProgramFails_ReturnsOutputAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := controlplane.Start(controlplane.Options{Dir: dir, CRDs: []string{}, ControllerManager: true, Controllers: []string{"no-such-controller"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-controller") {
		t.Errorf("got the error %v, want one with the program's output about no-such-controller", err)
	}
	if found := processesIn(t, dir); len(found) != 0 {
		t.Errorf("got the running programs %q, want none", found)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 0 {
		t.Errorf("got the files %v, want none", entries)
	}
}
