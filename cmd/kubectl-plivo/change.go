// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// change is a command that patches the selected objects: Subaccounts, and Accounts if
// the command allows them.
type change struct {
	*options
	print         *genericclioptions.PrintFlags
	all           bool
	allNamespaces bool
	selector      string

	// patch is a merge patch.
	patch map[string]any
	// after is called with the patched objects, unless it is nil.
	after func(context.Context, client.Client, []client.Object) error
	// accounts says whether arguments of the form account/NAME are allowed.
	accounts bool
	done     string // past participle of the command, for messages
}

func newSuspend(o *options) *cobra.Command {
	c := &change{options: o, patch: suspended(true)}
	return c.command("suspend", "suspended", "Suspend Subaccounts: the operator makes no calls to Plivo for them, not even to delete")
}

func newResume(o *options) *cobra.Command {
	c := &change{options: o, patch: suspended(nil)}
	return c.command("resume", "resumed", "Resume suspended Subaccounts")
}

// suspended with nil removes the field, so that it does not conflict with a pipeline that
// applies the resource.
func suspended(value any) map[string]any {
	return map[string]any{"spec": map[string]any{"suspend": value}}
}

func newReconcile(o *options) *cobra.Command {
	at := time.Now().Format(time.RFC3339Nano)
	c := &change{options: o, accounts: true, patch: map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{v1alpha1.ReconcileRequestedAtAnnotation: at},
	}}}
	cmd := c.command("reconcile", "reconcile requested", "Request a read of Subaccounts at Plivo, or a sweep of an Account, now")
	cmd.Use = "reconcile (NAME ... | account/NAME ... | -l SELECTOR | --all)"
	cmd.Example += "\n  kubectl plivo reconcile account/default --wait"
	waits := cmd.Flags().Bool("wait", false, "Wait until the operator has handled every request.")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "How long to wait.")
	c.after = func(ctx context.Context, k8s client.Client, patched []client.Object) error {
		ctx, cancel := context.WithTimeout(ctx, *timeout)
		defer cancel()
		for _, obj := range patched {
			if s, ok := obj.(*v1alpha1.Subaccount); ok && ptr.Deref(s.Spec.Suspend, false) {
				_, _ = fmt.Fprintf(o.ErrOut, "Warning: subaccount %s is suspended: the operator reads nothing until it is resumed\n", s.Name)
				continue
			}
			if !*waits {
				continue
			}
			if err := waitUntilHandled(ctx, k8s, obj, at); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// waitUntilHandled waits until the operator has handled the request with this value.
func waitUntilHandled(ctx context.Context, k8s client.Client, obj client.Object, at string) error {
	err := wait.PollUntilContextCancel(ctx, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := k8s.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return lastHandled(obj) == at, err
	})
	// The client has several messages for a call that times out.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		resource := "subaccounts"
		if _, ok := obj.(*v1alpha1.Account); ok {
			resource = "accounts"
		}
		return fmt.Errorf("timed out waiting for the condition on %s/%s", resource, obj.GetName())
	}
	return err
}

func lastHandled(obj client.Object) string {
	switch o := obj.(type) {
	case *v1alpha1.Account:
		return o.Status.LastHandledReconcileAt
	case *v1alpha1.Subaccount:
		return o.Status.LastHandledReconcileAt
	default:
		return ""
	}
}

func (c *change) command(verb, done, short string) *cobra.Command {
	c.done = done
	c.print = genericclioptions.NewPrintFlags(done).WithTypeSetter(scheme)
	cmd := &cobra.Command{
		Use: verb + " (NAME ... | -l SELECTOR | --all)", Short: short,
		Example: fmt.Sprintf("  kubectl plivo %[1]s team-a team-b -n tenants\n  kubectl plivo %[1]s -l team=a --all-namespaces", verb),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd, args)
		},
		ValidArgsFunction: c.completeNames,
	}
	cmd.Flags().BoolVar(&c.all, "all", false, "Select all Subaccounts in the namespace.")
	cmd.Flags().BoolVarP(&c.allNamespaces, "all-namespaces", "A", false, "Select in all namespaces.")
	cmdutil.AddLabelSelectorFlagVar(cmd, &c.selector)
	c.print.AddFlags(cmd)
	completeFlag(cmd, "output", c.print.AllowedFormats())
	return cmd
}

func (c *change) run(cmd *cobra.Command, args []string) error {
	printer, err := c.print.ToPrinter()
	if err != nil {
		return err
	}
	if err := c.validate(cmd, args); err != nil {
		return err
	}
	patch, err := json.Marshal(c.patch)
	if err != nil {
		return err
	}
	k8s, err := c.client()
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	chosen, err := c.chosen(ctx, k8s, args)
	if err != nil {
		return err
	}
	var patched []client.Object
	var failures []error
	for _, obj := range chosen {
		if err := k8s.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch)); err != nil {
			failures = append(failures, unwrapForKubectl(err))
			continue
		}
		patched = append(patched, obj)
		if err := printer.PrintObj(obj, c.Out); err != nil {
			return err
		}
	}
	if c.after != nil {
		if err := c.after(ctx, k8s, patched); err != nil {
			failures = append(failures, unwrapForKubectl(err))
		}
	}
	return utilerrors.NewAggregate(failures)
}

func (c *change) validate(cmd *cobra.Command, args []string) error {
	selects := c.all || c.selector != ""
	switch {
	case len(args) == 0 && !selects:
		return cmdutil.UsageErrorf(cmd, "no Subaccounts selected: name them, or use --selector or --all")
	case len(args) > 0 && selects:
		return errors.New("name cannot be provided when a selector is specified")
	case c.all && c.selector != "":
		return errors.New("setting 'all' parameter but found a non empty selector")
	case len(args) > 0 && c.allNamespaces:
		return errors.New("a resource cannot be retrieved by name across all namespaces")
	}
	return nil
}

// chosen returns the objects that the arguments or the flags select, with their names
// only.
func (c *change) chosen(ctx context.Context, k8s client.Client, args []string) ([]client.Object, error) {
	namespace, err := c.namespace()
	if err != nil {
		return nil, err
	}
	var chosen []client.Object
	for _, arg := range args {
		obj, err := c.objectOf(arg, namespace)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, obj)
	}
	if len(args) > 0 {
		return chosen, nil
	}
	selector, err := labels.Parse(c.selector)
	if err != nil {
		return nil, err
	}
	where := " in " + namespace + " namespace."
	if c.allNamespaces {
		namespace, where = "", ""
	}
	list := &v1alpha1.SubaccountList{}
	if err := k8s.List(ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, err
	}
	for i := range list.Items {
		chosen = append(chosen, subaccountNamed(list.Items[i].Namespace, list.Items[i].Name))
	}
	if len(chosen) == 0 {
		_, _ = fmt.Fprintln(c.ErrOut, "No resources found"+where)
	}
	return chosen, nil
}

// objectOf returns the object of an argument: NAME of a Subaccount, or TYPE/NAME as
// kubectl prints it with -o name.
func (c *change) objectOf(arg, namespace string) (client.Object, error) {
	kind, name, ok := strings.Cut(arg, "/")
	if !ok {
		return subaccountNamed(namespace, arg), nil
	}
	switch strings.TrimSuffix(kind, "."+v1alpha1.Group) {
	case "subaccount", "subaccounts", "plivosub":
		return subaccountNamed(namespace, name), nil
	case "account", "accounts", "plivoacct":
		if !c.accounts {
			return nil, fmt.Errorf("accounts cannot be %s", c.done)
		}
		a := &v1alpha1.Account{}
		a.Name = name
		return a, nil
	default:
		return nil, fmt.Errorf("unknown resource type %q: name Subaccounts or Accounts", kind)
	}
}

func subaccountNamed(namespace, name string) *v1alpha1.Subaccount {
	s := &v1alpha1.Subaccount{}
	s.Namespace, s.Name = namespace, name
	return s
}
