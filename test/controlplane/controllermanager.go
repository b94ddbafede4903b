// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

func (p *Plane) startControllerManager(more []string) error {
	path, err := p.program("kube-controller-manager")
	if err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	ca := filepath.Join(p.dir, "ca.crt")
	if err := os.WriteFile(ca, p.Config.CAData, 0o600); err != nil {
		return err
	}
	controllers := append([]string{"namespace-controller", "garbage-collector-controller", "serviceaccount-controller"}, more...)
	cmd := exec.Command(path,
		"--kubeconfig="+p.Kubeconfig,
		"--controllers="+strings.Join(controllers, ","),
		"--leader-elect=false",
		"--use-service-account-credentials=false",
		"--bind-address=127.0.0.1",
		"--secure-port="+port,
		"--cert-dir="+p.dir,
		"--kube-api-qps=200", "--kube-api-burst=400",
		// The controller discovers new kinds within this period, and then counts their quotas.
		"--resource-quota-sync-period=5s",
		// The optional controllers for service account tokens and for the root CA's
		// ConfigMap need these.
		"--root-ca-file="+ca,
		"--service-account-private-key-file="+filepath.Join(p.Env.ControlPlane.APIServer.CertDir, "sa-signer.key"),
	)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return err
	}
	ctx, exited := context.WithCancelCause(context.Background())
	go func() { exited(fmt.Errorf("kube-controller-manager ended: %v", cmd.Wait())) }()
	p.stopManager = func() error {
		err := cmd.Process.Kill()
		<-ctx.Done()
		if errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("ended too early: %w", context.Cause(ctx))
		}
		return err
	}
	if err := waitUntilHealthy(ctx, "https://127.0.0.1:"+port+"/healthz"); err != nil {
		return errors.Join(fmt.Errorf("waiting for kube-controller-manager: %w", err), context.Cause(ctx), p.lastOutput())
	}
	if err := p.waitUntilControllersRun(ctx); err != nil {
		return errors.Join(fmt.Errorf("waiting for the controllers of kube-controller-manager: %w", err), context.Cause(ctx), p.lastOutput())
	}
	return nil
}

// waitUntilControllersRun waits for the ServiceAccount that a controller creates
// in each namespace. Until then kube-controller-manager exits if the API server is
// unavailable for 10 s, which happens on a slow machine after Kill.
func (p *Plane) waitUntilControllersRun(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.Config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
}

func waitUntilHealthy(ctx context.Context, url string) error {
	// Its serving certificate is self-signed, and its health is not confidential.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil // the program does not listen yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
}

// FreePort returns a port that was free a moment ago, for a program that does not report
// which port it has chosen itself.
func FreePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}
