// SPDX-License-Identifier: Apache-2.0

// Command provision provisions a tenant: a namespace and a Subaccount. It waits until
// the subaccount exists at Plivo and prints the Secret with the credentials. It is an
// example for programs that provision tenants, such as a portal or an operator.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	applyv1alpha1 "github.com/subaccount-operator/subaccount-operator/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// fieldOwner owns the fields that this program applies. Other field managers keep
// theirs.
const fieldOwner = client.FieldOwner("tenant-portal")

func main() {
	tenant := flag.String("tenant", "", "`name` of the tenant and of its namespace")
	timeout := flag.Duration("timeout", 2*time.Minute, "how long to wait for the subaccount")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	secret, err := run(ctx, *tenant)
	if err != nil {
		fmt.Fprintln(os.Stderr, "provision:", err)
		os.Exit(1)
	}
	fmt.Printf("secret/%s\n", secret)
}

// run provisions the tenant in the cluster of the current kubeconfig.
func run(ctx context.Context, tenant string) (secret string, err error) {
	cfg, err := config.GetConfig()
	if err != nil {
		return "", err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return "", err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return "", err
	}
	if err := apply(ctx, c, tenant); err != nil {
		return "", err
	}
	return waitForSecret(ctx, c, client.ObjectKey{Namespace: tenant, Name: "voice"})
}

// apply creates or updates the tenant's objects. A repeated call changes nothing, so the
// program can run again after any failure.
func apply(ctx context.Context, c client.Client, tenant string) error {
	namespace := applycorev1.Namespace(tenant).
		WithLabels(map[string]string{"plivo": "allowed"}) // the namespaceSelector of the Account selects it
	subaccount := applyv1alpha1.Subaccount("voice", tenant).
		WithSpec(applyv1alpha1.SubaccountSpec().
			WithName("Tenant " + tenant).
			WithEnabled(true).
			WithDeletionPolicy(v1alpha1.DeletionPolicyOrphan).
			WithSecret(applyv1alpha1.SubaccountSecret().
				WithName("plivo").
				WithKeys(applyv1alpha1.SecretKeys().WithAuthID("PLIVO_AUTH_ID").WithAuthToken("PLIVO_AUTH_TOKEN"))))
	if err := c.Apply(ctx, namespace, fieldOwner); err != nil {
		return err
	}
	return c.Apply(ctx, subaccount, fieldOwner)
}

// waitForSecret waits until the Subaccount is Ready and returns the name of its Secret.
// It returns at once if the operator reports that a person has to change the resource.
func waitForSecret(ctx context.Context, c client.Client, key client.ObjectKey) (string, error) {
	subaccount := &v1alpha1.Subaccount{}
	message := "the operator has not reported anything yet: is it running?"
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, key, subaccount); err != nil {
			return false, err
		}
		ready := current(subaccount, v1alpha1.ConditionReady)
		if ready != nil {
			message = ready.Reason + ": " + ready.Message
		}
		if stalled := current(subaccount, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
			return false, fmt.Errorf("%s: %s", stalled.Reason, stalled.Message)
		}
		return ready != nil && ready.Status == metav1.ConditionTrue && subaccount.Status.Binding != nil, nil
	})
	switch {
	case wait.Interrupted(err):
		return "", fmt.Errorf("subaccount %s is not Ready: %s", key, message)
	case err != nil:
		return "", fmt.Errorf("subaccount %s: %w", key, err)
	}
	return subaccount.Status.Binding.Name, nil
}

// current returns the condition if it describes the current spec.
func current(s *v1alpha1.Subaccount, conditionType string) *metav1.Condition {
	condition := meta.FindStatusCondition(s.Status.Conditions, conditionType)
	if condition == nil || condition.ObservedGeneration != s.Generation {
		return nil
	}
	return condition
}
