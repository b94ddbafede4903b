// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
	"github.com/subaccount-operator/subaccount-operator/test/process"
)

// kubelet replaces a node. It runs each container of the operator's Deployment as a
// process with the Deployment's arguments and ServiceAccount, and updates the
// Deployment's status.
type kubelet struct {
	plane         *controlplane.Plane
	k8s           client.Client
	bin           string // has the programs of the images, under the names in programs
	plivoURL      string // for a manager without a simulator in its Pod
	simulatorPort string // for a simulator in its Pod
	logs          *process.Log

	running []*process.Process
	started identity // of the Deployment that running was started for
}

// simulatorPort is the port of the simulator in the operator's Pod. Each page replaces it
// by a free one.
const simulatorPort = "8089"

// programs has the entrypoints of the images, by container.
var programs = map[string]string{"manager": "manager", "simulator": "plivo-sim"}

// identity changes when the containers need a restart.
type identity struct {
	deployment, account types.UID
	generation          int64
}

// run synchronizes until the context ends, and then stops the containers.
func (k *kubelet) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := k.sync(ctx); err != nil && ctx.Err() == nil {
			_, _ = k.logs.Write([]byte("kubelet: " + err.Error() + "\n"))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	k.stop()
}

func (k *kubelet) sync(ctx context.Context) error {
	var all appsv1.DeploymentList
	if err := k.k8s.List(ctx, &all, client.MatchingLabels{"app.kubernetes.io/name": "subaccount-operator"}); err != nil {
		return err
	}
	if len(all.Items) == 0 || all.Items[0].DeletionTimestamp != nil {
		k.stop()
		return nil
	}
	d := &all.Items[0]
	pod := &d.Spec.Template.Spec
	account := &corev1.ServiceAccount{}
	if err := k.k8s.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: pod.ServiceAccountName}, account); err != nil {
		return err
	}
	n := *d.Spec.Replicas
	if n == 0 {
		k.stop()
	} else if current := (identity{d.UID, account.UID, d.Generation}); len(k.running) == 0 || current != k.started {
		k.stop()
		kubeconfig, err := k.plane.ServiceAccount(ctx, d.Namespace, account.Name)
		if err != nil {
			return err
		}
		if err := k.start(pod, "KUBECONFIG="+kubeconfig, "POD_NAMESPACE="+d.Namespace); err != nil {
			return err
		}
		k.started = current
	}
	if d.Status.ObservedGeneration == d.Generation {
		return nil
	}
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
		Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		},
	}
	return k.k8s.Status().Update(ctx, d)
}

func (k *kubelet) start(pod *corev1.PodSpec, env ...string) error {
	for _, c := range pod.Containers {
		args := slices.Clone(c.Args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], simulatorPort, k.simulatorPort)
		}
		if c.Name == "manager" {
			// Free ports, because the managers of all pages run on this machine.
			args = append(args, "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0")
			if len(pod.Containers) == 1 {
				args = append(args, "--plivo-base-url="+k.plivoURL)
			}
		}
		p, err := process.Start(k.logs, env, filepath.Join(k.bin, programs[c.Name]), args...)
		if err != nil {
			k.stop()
			return err
		}
		k.running = append(k.running, p)
	}
	return nil
}

func (k *kubelet) stop() {
	for _, p := range k.running {
		_ = p.Stop(syscall.SIGTERM)
	}
	k.running = nil
}
