package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
)

var listFormats = []string{"json", "name", "wide", "yaml"}

func newList(o *options) *cobra.Command {
	var unmanaged, noHeaders bool
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the subaccounts at Plivo, with the resources that manage them",
		Example: `  # Every subaccount of the Account default
  kubectl plivo list

  # The auth IDs of those that no resource manages, of another Account
  kubectl plivo list --account=emea --unmanaged -o name`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			printer, err := listPrinter(output, noHeaders)
			if err != nil {
				return err
			}
			_, remotes, _, err := o.read(cmd.Context())
			if err != nil {
				return err
			}
			if unmanaged {
				remotes = plugin.Unmanaged(remotes)
			}
			isTable := output == "" || output == "wide"
			if len(remotes) == 0 && isTable {
				_, _ = fmt.Fprintln(o.ErrOut, "No subaccounts found.")
				return nil
			}
			return printer.PrintObj(plugin.NewRemoteList(remotes), o.Out)
		},
	}
	o.addPlivoFlags(cmd)
	cmd.Flags().BoolVar(&unmanaged, "unmanaged", false, "Only those that no resource manages.")
	cmd.Flags().BoolVar(&noHeaders, "no-headers", false, "Print no headers.")
	cmd.Flags().StringVarP(&output, "output", "o", "", "Output format. One of: ("+strings.Join(listFormats, ", ")+").")
	completeFlag(cmd, "output", listFormats)
	return cmd
}

// listPrinter returns a printer like kubectl's. kubectl's own printers accept only
// resources.
func listPrinter(output string, noHeaders bool) (printers.ResourcePrinter, error) {
	switch output {
	case "", "wide":
		table := printers.NewTablePrinter(printers.PrintOptions{Wide: output == "wide", NoHeaders: noHeaders})
		return printers.ResourcePrinterFunc(func(obj runtime.Object, w io.Writer) error {
			return table.PrintObj(obj.(*plugin.RemoteList).Table(), w)
		}), nil
	case "name":
		return printers.ResourcePrinterFunc(func(obj runtime.Object, w io.Writer) error {
			for _, r := range obj.(*plugin.RemoteList).Items {
				if _, err := fmt.Fprintln(w, plugin.Printable(r.AuthID)); err != nil {
					return err
				}
			}
			return nil
		}), nil
	case "json":
		return &printers.JSONPrinter{}, nil
	case "yaml":
		return &printers.YAMLPrinter{}, nil
	default:
		return nil, genericclioptions.NoCompatiblePrinterError{OutputFormat: &output, AllowedFormats: listFormats}
	}
}
