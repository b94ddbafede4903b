// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/subaccount-operator/subaccount-operator/test/controlplane"
)

// checkRevive kills and revives the servers of a plane without kube-controller-manager in
// the folder.
func checkRevive(t *testing.T, plane *controlplane.Plane, dir string) {
	// This client works after each revival, because port, certificates and credentials stay.
	maps := kubernetes.NewForConfigOrDie(plane.Config).CoreV1().ConfigMaps("default")
	create(t, maps, "kept")
	before := commandsIn(t, dir)

	for _, names := range [][]string{{controlplane.APIServer}, {controlplane.Etcd}, {controlplane.APIServer, controlplane.Etcd}} {
		if err := plane.Kill(names...); err != nil {
			t.Fatal(err)
		}
		if running := processesIn(t, dir); len(running) != 2-len(names) {
			t.Errorf("got the running programs %q after Kill(%q), want %d", running, names, 2-len(names))
		}
		if err := plane.Kill(names...); err == nil {
			t.Errorf("got no error from a second Kill(%q), want one", names)
		}
		for range 2 { // a second Revive does nothing
			if err := plane.Revive(); err != nil {
				t.Fatal(err)
			}
		}
		if after := commandsIn(t, dir); !slices.Equal(after, before) {
			t.Errorf("got the commands %q, want %q", after, before)
		}
		eventually(t, "waiting for the stored ConfigMap", func(ctx context.Context) (bool, error) {
			_, err := maps.Get(ctx, "kept", metav1.GetOptions{})
			return err == nil, nil
		})
	}
}

// commandsIn returns the sorted command lines of the running servers, without etcd's peer
// port, which is a new one after each start.
func commandsIn(t *testing.T, dir string) []string {
	t.Helper()
	var commands []string
	for _, process := range processesIn(t, dir) {
		arguments := strings.Fields(process)
		commands = append(commands, strings.Join(slices.DeleteFunc(arguments, func(a string) bool {
			return strings.HasPrefix(a, "--listen-peer-urls=")
		}), " "))
	}
	slices.Sort(commands)
	return commands
}

// checkRestore restores a backup of a plane with kube-controller-manager.
func checkRestore(t *testing.T, plane *controlplane.Plane) {
	client := kubernetes.NewForConfigOrDie(plane.Config)
	maps := client.CoreV1().ConfigMaps("default")
	create(t, maps, "before")
	backup := filepath.Join(t.TempDir(), "backup")
	if err := plane.Backup(backup); err != nil {
		t.Fatal(err)
	}
	eventually(t, "waiting for etcd", func(ctx context.Context) (bool, error) {
		err := maps.Delete(ctx, "before", metav1.DeleteOptions{})
		return err == nil || apierrors.IsNotFound(err), nil
	})
	create(t, maps, "after")

	if err := plane.Restore(backup); err != nil {
		t.Fatal(err)
	}
	eventually(t, "waiting for the deleted ConfigMap", func(ctx context.Context) (bool, error) {
		_, err := maps.Get(ctx, "before", metav1.GetOptions{})
		return err == nil, nil
	})
	if _, err := maps.Get(t.Context(), "after", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v for a ConfigMap that is newer than the backup, want NotFound", err)
	}
	checkGarbageCollection(t, client)
}

func create(t *testing.T, maps typedcorev1.ConfigMapInterface, name string) {
	t.Helper()
	_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
