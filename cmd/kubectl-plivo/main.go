// SPDX-License-Identifier: Apache-2.0

// Command kubectl-plivo is the kubectl plugin: kubectl plivo.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // all authentication methods of a kubeconfig
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/subaccount-operator/subaccount-operator/internal/version"
)

func main() {
	log.SetOutput(io.Discard) // net/http would quote bytes of responses, with tokens
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := newCommand(streams).Execute()
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	cmdutil.CheckErr(unwrapForKubectl(err))
}

// userAgent is sent to the API server and to Plivo.
func userAgent() string { return "kubectl-plivo/" + version.String() }

func newCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{ConfigFlags: genericclioptions.NewConfigFlags(true).WithDiscoveryQPS(50).WithDiscoveryBurst(300), IOStreams: streams}
	o.WrapConfigFn = func(c *rest.Config) *rest.Config {
		c.UserAgent, c.QPS, c.Burst = userAgent(), 50, 300 // as kubectl
		c.WarningHandler = rest.NewWarningWriter(streams.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
		return c
	}
	verbosity := 0
	root := &cobra.Command{
		Use:         "kubectl-plivo",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl plivo"},
		Short:       "The subaccounts of a Plivo main account and the resources that manage them",
		Long: "The subaccounts of a Plivo main account and the resources that manage them.\n\n" +
			"list and export read Plivo with the credentials of an Account, from its Secret, or with those in\n" +
			"PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN if both are set. They change nothing there.",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return logAt(verbosity) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return cmdutil.UsageErrorf(cmd, "%v", err) })
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	o.AddFlags(root.PersistentFlags())
	root.PersistentFlags().IntVarP(&verbosity, "v", "v", 0,
		fmt.Sprintf("Number for the log level verbosity. At most %d: above that, the log would contain the bodies of responses, with Secrets.", maxVerbosity))
	root.AddCommand(newList(o), newStatus(o), newCheck(o), newExport(o), newReconcile(o), newSuspend(o), newResume(o), &cobra.Command{
		Use: "version", Short: "Print the plugin's version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { _, _ = fmt.Fprintln(streams.Out, "kubectl-plivo", version.String()) },
	})
	o.complete(root)
	return root
}

// maxVerbosity is the highest verbosity at which client-go does not log bodies.
const maxVerbosity = 7

func logAt(verbosity int) error {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	return fs.Set("v", strconv.Itoa(min(verbosity, maxVerbosity)))
}
