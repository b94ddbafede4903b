package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
)

func newExport(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write manifests that adopt the subaccounts that no resource manages",
		Long: "Write manifests that adopt the subaccounts that no resource manages, as a YAML stream for the namespace.\n\n" +
			"It begins with a comment that holds the grant that the Account needs, and the commands that apply and\n" +
			"withdraw it. Applied, the manifests change nothing at Plivo, and neither does deleting the resources.",
		Example: `  # Bring what exists at Plivo into the namespace team-a
  kubectl plivo export -n team-a > export.yaml`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			namespace, err := o.namespace()
			if err != nil {
				return err
			}
			mainAccount, remotes, all, err := o.read(cmd.Context())
			if err != nil {
				return err
			}
			e := plugin.NewExport(o.account, mainAccount, namespace, remotes, all)
			if e.Empty() {
				for _, note := range append(e.Notes, "No unmanaged subaccounts to export.") {
					_, _ = fmt.Fprintln(o.ErrOut, note)
				}
				return nil
			}
			return e.Write(o.Out)
		},
	}
	o.bind(cmd)
	return cmd
}
