// SPDX-License-Identifier: Apache-2.0

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
			"The stream begins with a comment: the grant that the Account needs, and the commands to apply and to\n" +
			"withdraw it. Applying the manifests changes nothing at Plivo, and deleting the resources later does not either.",
		Example: `  # Adopt the existing subaccounts in the namespace team-a
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
	o.addPlivoFlags(cmd)
	return cmd
}
