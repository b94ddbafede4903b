// SPDX-License-Identifier: Apache-2.0

//go:build node

package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

const (
	bridge = "plivonode0" // at most 15 characters
	hostIP = "10.243.7.1" // of the bridge: Pods reach the API server and the simulator there
	subnet = "10.243.7.0/24"
	name   = "node"
)

// node is a node of the control plane on this machine: containerd and a kubelet.
type node struct {
	t          *testing.T
	dir, ctr   string
	plane      *controlplane.Plane
	logs       *process.Log
	containerd *process.Process
	kubelet    *process.Process
	port       string
}

const containerdConfig = `
version = 2
root = "DIR/root"
state = "DIR/state"
[grpc]
  address = "DIR/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + programImage + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "DIR/cni"
`

const cniConfig = `{"cniVersion": "1.0.0", "name": "node", "plugins": [{
  "type": "bridge", "bridge": "` + bridge + `", "isGateway": true,
  "ipam": {"type": "host-local", "dataDir": "DIR/ipam", "ranges": [[{"subnet": "` + subnet + `"}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}`

// The kubelet limits nothing on this machine, which has other work: no eviction, no
// garbage collection of images.
const kubeletConfig = `
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false # the machine may have cgroup v1
failSwapOn: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://DIR/containerd.sock
address: 127.0.0.1
port: PORT
healthzPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
enforceNodeAllocatable: []
evictionHard: {memory.available: 1Mi}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
podLogsDir: DIR/logs
volumePluginDir: DIR/plugins
resolvConf: ""
`

// startNode starts containerd and imports the images. It does not start the kubelet.
func startNode(t *testing.T) *node {
	t.Helper()
	g := NewWithT(t)
	dir, err := os.MkdirTemp("", "node-") //nolint:usetesting // a socket's path has at most 107 bytes
	g.Expect(err).NotTo(HaveOccurred())
	n := &node{t: t, dir: dir, ctr: filepath.Join(dir, "containerd.sock"), logs: &process.Log{}}
	t.Cleanup(n.clean)
	n.port, err = controlplane.FreePort()
	g.Expect(err).NotTo(HaveOccurred())
	for path, content := range map[string]string{
		"containerd.toml": containerdConfig, "cni/node.conflist": cniConfig, "kubelet.yaml": kubeletConfig,
	} {
		content = strings.NewReplacer("DIR", dir, "PORT", n.port).Replace(content)
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600)).To(Succeed())
	}
	run(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { run(t, "ip", "link", "delete", bridge) })
	run(t, "ip", "address", "add", hostIP+"/24", "dev", bridge)
	run(t, "ip", "link", "set", bridge, "up")
	n.startContainerd()
	for _, image := range buildImages(t, dir) {
		n.mustCtr("images", "import", image)
	}
	return n
}

func (n *node) startContainerd() {
	n.t.Helper()
	g := NewWithT(n.t)
	var err error
	n.containerd, err = process.Start(n.logs, nil, "containerd", "--config", filepath.Join(n.dir, "containerd.toml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error { _, err := n.runCtr("plugins", "ls"); return err }).WithTimeout(time.Minute).Should(Succeed(), n.logs.String)
}

func (n *node) startKubelet() {
	n.t.Helper()
	g := NewWithT(n.t)
	var err error
	n.kubelet, err = process.Start(n.logs, nil, filepath.Join(n.plane.Assets, "kubelet"), "--config", filepath.Join(n.dir, "kubelet.yaml"),
		"--kubeconfig", n.plane.Kubeconfig, "--root-dir", filepath.Join(n.dir, "kubelet"), "--cert-dir", filepath.Join(n.dir, "pki"),
		"--hostname-override", name, "--node-ip", hostIP)
	g.Expect(err).NotTo(HaveOccurred())
}

// crash ends the kubelet, containerd and every container, as a crash of the node does.
func (n *node) crash() {
	n.t.Helper()
	_ = n.kubelet.Stop(syscall.SIGKILL)
	for _, task := range n.tasks() {
		n.mustCtr("tasks", "kill", "--all", "--signal", "SIGKILL", task)
	}
	NewWithT(n.t).Eventually(func() string { return n.mustCtr("tasks", "ls") }).WithTimeout(time.Minute).ShouldNot(ContainSubstring("RUNNING"))
	_ = n.containerd.Stop(syscall.SIGKILL)
}

func (n *node) tasks() []string { return strings.Fields(n.mustCtr("tasks", "ls", "--quiet")) }

func (n *node) runCtr(args ...string) (string, error) {
	out, err := exec.Command("ctr", append([]string{"--address", n.ctr, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	return string(out), err
}

func (n *node) mustCtr(args ...string) string {
	n.t.Helper()
	out, err := n.runCtr(args...)
	NewWithT(n.t).Expect(err).NotTo(HaveOccurred(), out)
	return out
}

// schedule binds every Pod to the node until the context ends. The control plane has no
// scheduler.
func (n *node) schedule(ctx context.Context, k8s client.Client) {
	for ctx.Err() == nil {
		pods := &corev1.PodList{}
		if err := k8s.List(ctx, pods, client.MatchingFields{"spec.nodeName": ""}); err == nil {
			for i := range pods.Items {
				binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: name}}
				_ = k8s.SubResource("binding").Create(ctx, &pods.Items[i], binding)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// clean removes what the node leaves on the machine: containers, mounts and files.
func (n *node) clean() {
	if n.kubelet != nil {
		_ = n.kubelet.Stop(syscall.SIGKILL)
	}
	if n.containerd != nil {
		if ids, err := n.runCtr("tasks", "ls", "--quiet"); err == nil {
			for _, id := range strings.Fields(ids) {
				_, _ = n.runCtr("tasks", "delete", "--force", id)
			}
		}
		_ = n.containerd.Stop(syscall.SIGTERM)
	}
	if n.t.Failed() {
		n.t.Log(n.logs)
	}
	for _, mount := range slices.Backward(n.mounts()) {
		_ = syscall.Unmount(mount, syscall.MNT_DETACH)
	}
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Error(err)
	}
}

// mounts returns the mount points in the node's folder.
func (n *node) mounts() (paths []string) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		n.t.Error(err)
	}
	for _, line := range strings.Split(string(table), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], n.dir+"/") {
			paths = append(paths, fields[4])
		}
	}
	return paths
}

// expectReady waits until the kubelet has registered the node and reports it as Ready.
func (n *node) expectReady(k8s client.Client) {
	n.t.Helper()
	NewWithT(n.t).Eventually(func(g Gomega) {
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Expect(k8s.Get(context.Background(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		g.Expect(object.Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.NodeReady), HaveField("Status", corev1.ConditionTrue))), fmt.Sprint(object.Status.Conditions))
	}).WithTimeout(2 * time.Minute).Should(Succeed())
}
