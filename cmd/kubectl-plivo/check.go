// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
	"github.com/subaccount-operator/subaccount-operator/internal/version"
)

// exitCode is an error that was printed already.
type exitCode int

// Error implements error.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

const (
	exitDiffers   exitCode = 1
	exitNotRun    exitCode = 2
	maxClockSkew           = 5 * time.Second
	leaseTooOld            = time.Minute
	operatorLabel          = "app.kubernetes.io/name"

	assumptionList = "Plivo accepts the credentials and answers lists"
)

var checkFormats = []string{"json", "yaml"}

// check is one run of kubectl plivo check.
type check struct {
	*options
	probe, yes bool
	output     string
	settleTime time.Duration

	report  *plugin.Report
	headers *plugin.Headers
}

func newCheck(o *options) *cobra.Command {
	c := &check{options: o}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the installation, an Account, and whether Plivo behaves as the operator assumes",
		Long: "Check the installation and an Account; with --probe also whether Plivo behaves as the operator assumes.\n\n" +
			"Without --probe the check changes nothing. With it the check creates one disabled subaccount, reads, updates\n" +
			"and deletes it. It asks first, and deletes the subaccount also after Ctrl-C.\n\n" +
			"Exit code: 0 if every check passed, 1 if one did not, 2 if the check or the probe could not run.",
		Example: "  kubectl plivo check\n  kubectl plivo check --account=emea --probe --yes -o json",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.output != "" && !slices.Contains(checkFormats, c.output) {
				return c.cannotRun(genericclioptions.NoCompatiblePrinterError{OutputFormat: &c.output, AllowedFormats: checkFormats})
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return c.run(ctx)
		},
	}
	o.addPlivoFlags(cmd)
	cmd.Flags().BoolVar(&c.probe, "probe", false, "Create, read, update and delete one disabled subaccount.")
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "Do not ask before --probe creates a subaccount.")
	cmd.Flags().DurationVar(&c.settleTime, "settle-time", 40*time.Second, "The manager's --plivo-timeout plus --plivo-settle-margin.")
	cmd.Flags().StringVarP(&c.output, "output", "o", "", "Output format. One of: ("+strings.Join(checkFormats, ", ")+").")
	completeFlag(cmd, "output", checkFormats)
	return cmd
}

func (c *check) run(ctx context.Context) error {
	c.report = plugin.NewReport(version.String())
	k8s, err := c.client()
	if err != nil {
		return c.cannotRun(err)
	}
	kubeSystem := &metav1.PartialObjectMetadata{}
	kubeSystem.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	// Without the UID the probe's name is one of cluster 00000000.
	err = k8s.Get(ctx, types.NamespacedName{Name: "kube-system"}, kubeSystem)
	status := apierrors.APIStatus(nil)
	hasAnswered := err == nil || errors.As(err, &status)
	if !hasAnswered || apierrors.IsUnauthorized(err) {
		return c.cannotRun(err) // every check would fail for this reason
	}
	c.checkCluster(ctx, k8s)
	remote, err := c.checkAccount(ctx, k8s)
	switch {
	case apierrors.IsForbidden(err):
		c.unknown(assumptionList, err)
	case err != nil:
		c.report.Add(assumptionList, plugin.VerdictDiffers, "Fix this first.", "%v", err)
	}
	if c.probe {
		if err == nil {
			err = c.runProbe(ctx, remote, string(kubeSystem.UID))
		}
		if err != nil {
			_ = c.print()
			return c.cannotRun(fmt.Errorf("the probe did not run: %w", err))
		}
	}
	if err := c.print(); err != nil {
		return err
	}
	if c.report.Differs() {
		return exitDiffers
	}
	return nil
}

func (c *check) cannotRun(err error) error {
	_, _ = fmt.Fprintf(c.ErrOut, "error: %v\n", unwrapForKubectl(err))
	return exitNotRun
}

func (c *check) print() error {
	switch c.output {
	case "json":
		return (&printers.JSONPrinter{}).PrintObj(c.report, c.Out)
	case "yaml":
		return (&printers.YAMLPrinter{}).PrintObj(c.report, c.Out)
	default:
		return c.report.Write(c.Out)
	}
}

// checkCluster checks what an installation consists of. A part that the caller may not
// read is Unknown.
func (c *check) checkCluster(ctx context.Context, k8s client.Client) {
	for _, kind := range []string{"Account", "Subaccount"} {
		mapping, err := k8s.RESTMapper().RESTMapping(schema.GroupKind{Group: v1alpha1.Group, Kind: kind})
		assumption := "The CRD of " + kind + " is installed"
		switch {
		case meta.IsNoMatchError(err):
			c.report.Add(assumption, plugin.VerdictDiffers, "Install the CRDs of the operator's release.", "%v", err)
		case err != nil:
			c.unknown(assumption, err)
		default:
			served := mapping.GroupVersionKind.Version
			c.report.Add(assumption, plugin.VerdictOf(served == v1alpha1.GroupVersion.Version),
				"Use a plugin of the operator's version.", "version %s", served)
		}
	}
	c.checkDeployment(ctx, k8s)
	c.checkLease(ctx, k8s)
	for _, r := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Group: v1alpha1.Group, Resource: "subaccounts"},
		{Verb: "get", Resource: "secrets", Namespace: c.operatorNamespace},
	} {
		if r.Namespace == "" {
			r.Namespace, _ = c.namespace()
		}
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &r}}
		assumption := fmt.Sprintf("You may %s %s in %s", r.Verb, r.Resource, r.Namespace)
		if err := k8s.Create(ctx, review); err != nil {
			c.unknown(assumption, err)
			continue
		}
		v := plugin.VerdictOK
		if !review.Status.Allowed {
			v = plugin.VerdictUnknown
		}
		c.report.Add(assumption, v, "Some commands of this plugin need the right.", "%t", review.Status.Allowed)
	}
}

func (c *check) checkDeployment(ctx context.Context, k8s client.Client) {
	const assumption = "The operator runs, in the plugin's version"
	deployments := &appsv1.DeploymentList{}
	err := k8s.List(ctx, deployments, client.InNamespace(c.operatorNamespace), client.MatchingLabels{operatorLabel: "subaccount-operator"})
	switch {
	case err != nil:
		c.unknown(assumption, err)
	case len(deployments.Items) == 0:
		c.report.Add(assumption, plugin.VerdictDiffers, "Install the operator, or name its namespace with --operator-namespace.",
			"no Deployment in %s", c.operatorNamespace)
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		image := ""
		if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
			image = containers[0].Image
		}
		wanted := ptr.Deref(d.Spec.Replicas, 1)
		available := wanted > 0 && d.Status.AvailableReplicas == wanted
		v := plugin.VerdictOf(available)
		if available && !strings.HasSuffix(image, ":"+version.String()) {
			v = plugin.VerdictUnknown
		}
		c.report.Add(assumption, v, "Check kubectl -n "+c.operatorNamespace+" describe deployment "+d.Name+
			"; use a plugin of the operator's version.", "%s: %d of %d replicas available, image %s", d.Name, d.Status.AvailableReplicas, wanted, image)
	}
}

func (c *check) checkLease(ctx context.Context, k8s client.Client) {
	const assumption = "A replica of the operator is the leader"
	leases := &coordinationv1.LeaseList{}
	if err := k8s.List(ctx, leases, client.InNamespace(c.operatorNamespace)); err != nil {
		c.unknown(assumption, err)
		return
	}
	leases.Items = slices.DeleteFunc(leases.Items, func(l coordinationv1.Lease) bool {
		return !strings.HasPrefix(l.Name, "subaccount-operator") || l.Spec.RenewTime == nil
	})
	isHeld := func(l coordinationv1.Lease) bool { return time.Since(l.Spec.RenewTime.Time) < leaseTooOld }
	anyHeld := slices.ContainsFunc(leases.Items, isHeld)
	for _, l := range leases.Items {
		v, next := plugin.VerdictOf(isHeld(l)), "Nothing is reconciled while there is no leader: check the operator's log."
		if !isHeld(l) && anyHeld { // of a shard without a leader, or left by an earlier version
			v, next = plugin.VerdictUnknown, "If an instance uses this Lease, it has no leader: check its log. Otherwise delete the Lease."
		}
		c.report.Add(assumption, v, next, "%s holds the Lease %s, renewed %s ago", ptr.Deref(l.Spec.HolderIdentity, "nobody"), l.Name,
			time.Since(l.Spec.RenewTime.Time).Round(time.Second))
	}
	if len(leases.Items) == 0 {
		c.report.Add(assumption, plugin.VerdictUnknown, "The operator may run with --leader-elect=false.", "no Lease in %s", c.operatorNamespace)
	}
}

// checkAccount checks one Account and reads its main account's list.
func (c *check) checkAccount(ctx context.Context, k8s client.Client) (*plivo.Client, error) {
	a := &v1alpha1.Account{}
	assumption := "The Account " + c.account + " is Ready"
	switch err := k8s.Get(ctx, types.NamespacedName{Name: c.account}, a); {
	case apierrors.IsNotFound(err):
		c.report.Add(assumption, plugin.VerdictDiffers, "Create the Account, or name another one with --account.", "it does not exist")
	case err != nil:
		c.unknown(assumption, err)
	default:
		ready := ptr.Deref(meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady), metav1.Condition{Status: "Unknown", Reason: "not reconciled"})
		c.report.Add(assumption, plugin.VerdictOf(ready.Status == metav1.ConditionTrue), ready.Message, "%s", ready.Reason)
	}
	base, err := plivo.ParseBaseURL(c.baseURL)
	if err != nil {
		return nil, fmt.Errorf("--plivo-base-url: %w", err)
	}
	credentials, _, err := c.credentials(ctx, k8s)
	if err != nil {
		return nil, err
	}
	httpClient := plivo.NewHTTPClient()
	c.headers = &plugin.Headers{Next: httpClient.Transport}
	httpClient.Transport = c.headers
	remote := plivo.NewClient(base, httpClient, credentials, userAgent())
	notices := newNotices(c.ErrOut)
	remotes, err := plugin.ReadAll(ctx, remote, notices, notices.progress)
	notices.clear()
	if err != nil {
		return nil, err
	}
	c.checkList(ctx, k8s, remotes, a.Status.Orphaned)
	return remote, nil
}

func (c *check) checkList(ctx context.Context, k8s client.Client, remotes []plugin.Remote, orphaned []string) {
	c.report.Add(assumptionList, plugin.VerdictOK, "", "%d subaccounts, %s for a response",
		len(remotes), c.headers.Latency().Round(time.Millisecond))
	if skew, ok := c.headers.Skew(); ok {
		c.report.Add("This clock and Plivo's agree", plugin.VerdictOf(skew.Abs() <= maxClockSkew), "Set this machine's clock.", "%s apart", skew.Round(time.Second))
	}
	if limits := c.headers.RateLimits(); len(limits) > 0 {
		c.report.Add("Plivo sends no rate limit headers", plugin.VerdictUnknown, "Please attach this report to an issue: the operator could use them.",
			"%s", strings.Join(limits, ", "))
	}
	list := &v1alpha1.SubaccountList{}
	if err := k8s.List(ctx, list); err != nil {
		c.unknown("Every subaccount is managed", err)
		return
	}
	plugin.FindManagers(remotes, list.Items)
	markers, unmanaged := 0, plugin.Unmanaged(remotes)
	for _, r := range unmanaged {
		if r.Unfinished && !slices.Contains(orphaned, r.AuthID) {
			markers++
		}
	}
	c.report.Add("No unfinished creations are left", plugin.VerdictOf(markers == 0), "The operator deletes its own after two sweeps. Others belong to another "+
		"cluster: see kubectl plivo list --unmanaged.", "%d", markers)
	v := plugin.VerdictOK
	if len(unmanaged) > markers {
		v = plugin.VerdictUnknown
	}
	c.report.Add("Every subaccount is managed", v, "kubectl plivo export writes manifests that adopt them.", "%d of %d are not", len(unmanaged)-markers, len(remotes))
}

func (c *check) runProbe(ctx context.Context, remote *plivo.Client, clusterUID string) error {
	if !c.yes {
		_, _ = fmt.Fprintf(c.ErrOut, "--probe creates one disabled subaccount in the main account %s, and deletes it. Continue? [y/N] ", remote.AccountID())
		answer, _ := bufio.NewReader(c.In).ReadString('\n')
		if strings.ToLower(strings.TrimSpace(answer)) != "y" {
			return errors.New("the probe was declined")
		}
	}
	prober := &plugin.Prober{Client: remote, ClusterUID: clusterUID, SettleTime: c.settleTime, Progress: c.ErrOut}
	left, err := prober.Run(ctx, c.report)
	if left != "" {
		_, _ = fmt.Fprintf(c.ErrOut, "Warning: the subaccount %s could not be deleted: delete it in Plivo's console\n", left)
	}
	return err
}

func (c *check) unknown(assumption string, err error) {
	next := "It could not be read."
	if apierrors.IsForbidden(err) {
		next = "The check needs the right to read it."
	}
	c.report.Add(assumption, plugin.VerdictUnknown, next, "%v", unwrapForKubectl(err))
}
