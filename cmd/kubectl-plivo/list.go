// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
)

var listFormats = []string{"json", "name", "wide", "yaml"}

// list is one run of kubectl plivo list.
type list struct {
	*options
	unmanaged, noHeaders, watch bool
	interval                    time.Duration
	output                      string
}

func newList(o *options) *cobra.Command {
	l := &list{options: o}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the subaccounts at Plivo, with the resources that manage them",
		Example: `  # Every subaccount of the Account default
  kubectl plivo list

  # The auth IDs of those that no resource manages, of another Account
  kubectl plivo list --account=emea --unmanaged -o name

  # What changes, until Ctrl-C
  kubectl plivo list --watch`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A shorter interval would let two reads share one window of the rate limit.
			if l.interval < plivo.Window {
				return cmdutil.UsageErrorf(cmd, "--watch-interval is %s, want at least %s", l.interval, plivo.Window)
			}
			return l.run(cmd.Context())
		},
	}
	o.addPlivoFlags(cmd)
	cmd.Flags().BoolVar(&l.unmanaged, "unmanaged", false, "Only those that no resource manages.")
	cmd.Flags().BoolVar(&l.noHeaders, "no-headers", false, "Print no headers.")
	cmd.Flags().BoolVarP(&l.watch, "watch", "w", false, "After the list, print the subaccounts that change.")
	cmd.Flags().DurationVar(&l.interval, "watch-interval", 2*plivo.Window, "Time between two reads of the list with --watch; at least "+plivo.Window.String()+".")
	cmd.Flags().StringVarP(&l.output, "output", "o", "", "Output format. One of: ("+strings.Join(listFormats, ", ")+").")
	completeFlag(cmd, "output", listFormats)
	return cmd
}

func (l *list) run(ctx context.Context) error {
	printRows, err := listPrinter(l.Out, l.output, l.noHeaders)
	if err != nil {
		return err
	}
	remotes, err := l.readRows(ctx)
	if err != nil {
		return err
	}
	isTable := l.output == "" || l.output == "wide"
	if len(remotes) == 0 && isTable {
		_, _ = fmt.Fprintln(l.ErrOut, "No subaccounts found.")
	} else if err := printRows(plugin.NewRemoteList(remotes)); err != nil {
		return err
	}
	for l.watch {
		time.Sleep(l.interval)
		next, err := l.readRows(ctx)
		if err != nil {
			return err
		}
		changed, gone := plugin.Changes(remotes, next)
		for _, r := range gone {
			_, _ = fmt.Fprintf(l.ErrOut, "%s is no longer in the list.\n", plugin.Printable(r.AuthID))
		}
		if len(changed) > 0 {
			if err := printRows(plugin.NewRemoteList(changed)); err != nil {
				return err
			}
		}
		remotes = next
	}
	return nil
}

func (l *list) readRows(ctx context.Context) ([]plugin.Remote, error) {
	_, remotes, _, err := l.read(ctx)
	if l.unmanaged {
		remotes = plugin.Unmanaged(remotes)
	}
	return remotes, err
}

// listPrinter returns a function that prints like kubectl. kubectl's own printers accept
// only resources.
func listPrinter(out io.Writer, output string, noHeaders bool) (func(*plugin.RemoteList) error, error) {
	switch output {
	case "", "wide":
		table := printers.NewTablePrinter(printers.PrintOptions{Wide: output == "wide", NoHeaders: noHeaders})
		aligned := printers.GetNewTabWriter(out) // remembers the widths of the columns
		return func(l *plugin.RemoteList) error {
			if err := table.PrintObj(l.Table(), aligned); err != nil {
				return err
			}
			return aligned.Flush()
		}, nil
	case "name":
		return func(l *plugin.RemoteList) error {
			for _, r := range l.Items {
				if _, err := fmt.Fprintln(out, plugin.Printable(r.AuthID)); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case "json":
		return func(l *plugin.RemoteList) error { return (&printers.JSONPrinter{}).PrintObj(l, out) }, nil
	case "yaml":
		documents := &printers.YAMLPrinter{} // separates them
		return func(l *plugin.RemoteList) error { return documents.PrintObj(l, out) }, nil
	default:
		return nil, genericclioptions.NoCompatiblePrinterError{OutputFormat: &output, AllowedFormats: listFormats}
	}
}
