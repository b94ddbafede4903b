// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// KubectlEnv returns the environment variables of kubectl for the administrator. Its cache
// is in the plane's folder, because the one in the home folder would grow with each plane.
func (p *Plane) KubectlEnv() []string {
	return append(os.Environ(), "KUBECONFIG="+p.Kubeconfig, "KUBECACHEDIR="+filepath.Join(p.dir, "kubectl-cache"))
}

// RunKubectl runs kubectl as the administrator and returns what it prints on stdout.
func (p *Plane) RunKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, p.Kubectl, args...)
	cmd.Env = p.KubectlEnv()
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// ServiceAccount returns the path of a kubeconfig file with a token of a
// ServiceAccount that exists.
func (p *Plane) ServiceAccount(ctx context.Context, namespace, name string) (kubeconfig string, err error) {
	token, err := p.Token(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["controlplane"] = &clientcmdapi.Cluster{Server: p.Config.Host, CertificateAuthorityData: p.Config.CAData}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: "controlplane", AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	kubeconfig = filepath.Join(p.dir, name+".kubeconfig")
	return kubeconfig, clientcmd.WriteToFile(*config, kubeconfig)
}

// Token returns a token of a ServiceAccount that exists; it is valid for a day.
func (p *Plane) Token(ctx context.Context, namespace, name string) (string, error) {
	k8s, err := client.New(p.Config, client.Options{})
	if err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(24 * 60 * 60))}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := k8s.SubResource("token").Create(ctx, account, request); err != nil {
		return "", err
	}
	return request.Status.Token, nil
}

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [%q]
- level: None
`

// audit configures the API server to log the requests of a user.
func (p *Plane) audit(server *envtest.APIServer, user string) error {
	p.AuditLog = filepath.Join(p.dir, "audit.log")
	policy := filepath.Join(p.dir, "audit-policy.yaml")
	server.Configure().Set("audit-policy-file", policy).Set("audit-log-path", p.AuditLog).
		Set("audit-log-maxsize", "2000") // MB, so that the log is never rotated
	return os.WriteFile(policy, fmt.Appendf(nil, auditPolicy, user), 0o600)
}
