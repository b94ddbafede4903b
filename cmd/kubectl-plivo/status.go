// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
)

func newStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status [NAME ...]",
		Short: "Explain why Subaccounts are Ready or not, and what to do",
		Long: "Explain why Subaccounts are Ready or not: the resource, its Account, its Secret, the last events, who has\n" +
			"to act, and what to do. Without names: every Subaccount of the namespace that is not Ready.",
		Example:           "  kubectl plivo status\n  kubectl plivo status team-a -n tenants",
		ValidArgsFunction: o.completeNames,
		RunE: func(cmd *cobra.Command, names []string) error {
			k8s, err := o.client()
			if err != nil {
				return err
			}
			namespace, err := o.namespace()
			if err != nil {
				return err
			}
			return o.status(cmd.Context(), k8s, namespace, names)
		},
	}
}

// status prints the status of the named Subaccounts, or of all that are not Ready.
func (o *options) status(ctx context.Context, k8s client.Client, namespace string, names []string) error {
	list := &v1alpha1.SubaccountList{}
	for _, name := range names {
		s := v1alpha1.Subaccount{}
		if err := k8s.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &s); err != nil {
			return err
		}
		list.Items = append(list.Items, s)
	}
	ready := 0
	if len(names) == 0 {
		all := &v1alpha1.SubaccountList{}
		if err := k8s.List(ctx, all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if plan.IsReady(all.Items[i].Status.Conditions, all.Items[i].Generation) {
				ready++
			} else {
				list.Items = append(list.Items, all.Items[i])
			}
		}
		if len(all.Items) == 0 {
			_, _ = fmt.Fprintf(o.ErrOut, "No resources found in %s namespace.\n", namespace)
			return nil
		}
		_, _ = fmt.Fprintf(o.Out, "%d of %d Subaccounts in %s are Ready.\n", ready, len(all.Items), namespace)
	}
	for i := range list.Items {
		if i > 0 || len(names) == 0 {
			_, _ = fmt.Fprintln(o.Out)
		}
		if err := readStatus(ctx, k8s, &list.Items[i]).Write(o.Out); err != nil {
			return err
		}
	}
	return nil
}

// readStatus reads what a Subaccount depends on. A part that the caller may not read
// is reported as such.
func readStatus(ctx context.Context, k8s client.Client, s *v1alpha1.Subaccount) *plugin.Status {
	status := &plugin.Status{Subaccount: s, Account: &v1alpha1.Account{}, Now: time.Now()}
	status.AccountError = k8s.Get(ctx, types.NamespacedName{Name: s.Spec.AccountRef.Name}, status.Account)
	// The metadata only: the plugin does not read the token.
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	status.SecretError = k8s.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: plan.SecretName(s)}, secret)
	events := &eventsv1.EventList{}
	status.EventsError = k8s.List(ctx, events, client.InNamespace(s.Namespace), client.MatchingFields{"regarding.uid": string(s.UID)})
	status.Events = events.Items
	return status
}
