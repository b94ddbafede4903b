// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// completionTimeout limits how long a user who pressed Tab waits.
const completionTimeout = 5 * time.Second

// complete adds shell completion for the values of flags.
func (o *options) complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("account") != nil {
			o.completeFlagByNames(cmd, "account", v1alpha1.GroupVersion.WithKind("Account"))
		}
		if cmd.Flags().Lookup("operator-namespace") != nil {
			o.completeFlagByNames(cmd, "operator-namespace", corev1.SchemeGroupVersion.WithKind("Namespace"))
		}
	}
	o.completeFlagByNames(root, "namespace", corev1.SchemeGroupVersion.WithKind("Namespace"))
	utilruntime.Must(root.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		config, err := o.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return slices.Sorted(maps.Keys(config.Contexts)), cobra.ShellCompDirectiveNoFileComp
	}))
}

func completeFlag(cmd *cobra.Command, flag string, values []string) {
	utilruntime.Must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

func (o *options) completeFlagByNames(cmd *cobra.Command, flag string, kind schema.GroupVersionKind) {
	utilruntime.Must(cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return o.names(kind, "", begun, nil)
	}))
}

// completeNames completes names of Subaccounts that are not on the line yet.
func (o *options) completeNames(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	namespace, err := o.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return o.names(v1alpha1.GroupVersion.WithKind("Subaccount"), namespace, begun, args)
}

func (o *options) names(kind schema.GroupVersionKind, namespace, begun string, except []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	k8s, err := o.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	if err := k8s.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for i := range list.Items {
		if name := list.Items[i].Name; strings.HasPrefix(name, begun) && !slices.Contains(except, name) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
