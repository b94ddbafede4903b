// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
	"github.com/subaccount-operator/subaccount-operator/internal/plugin"
)

var scheme = runtime.NewScheme()

func init() {
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(eventsv1.AddToScheme(scheme))
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(authorizationv1.AddToScheme(scheme))
	utilruntime.Must(coordinationv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
}

// options are shared by all commands.
type options struct {
	*genericclioptions.ConfigFlags
	genericiooptions.IOStreams

	account, operatorNamespace, baseURL string
}

// addPlivoFlags adds the flags of the commands that read Plivo's list.
func (o *options) addPlivoFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.account, "account", v1alpha1.DefaultAccountName, "The Account whose main account to read.")
	cmd.Flags().StringVar(&o.operatorNamespace, "operator-namespace", "subaccount-operator-system", "Namespace of the Accounts' credentials Secrets.")
	cmd.Flags().StringVar(&o.baseURL, "plivo-base-url", plivo.DefaultBaseURL, "Base URL of Plivo's API. Plain http only for loopback addresses.")
}

func (o *options) client() (client.Client, error) {
	config, err := o.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	mapper, err := o.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: mapper, FieldOwner: "kubectl-plivo"})
}

func (o *options) namespace() (string, error) {
	ns, _, err := o.ToRawKubeConfigLoader().Namespace()
	return ns, err
}

// read reads the whole list of the main account and then all Subaccounts. It returns
// each subaccount with its manager.
func (o *options) read(ctx context.Context) (mainAccount string, remotes []plugin.Remote, all []v1alpha1.Subaccount, err error) {
	base, err := plivo.ParseBaseURL(o.baseURL)
	if err != nil {
		return "", nil, nil, fmt.Errorf("--plivo-base-url: %w", err)
	}
	c, err := o.client()
	if err != nil {
		return "", nil, nil, err
	}
	credentials, from, err := o.credentials(ctx, c)
	if err != nil {
		return "", nil, nil, err
	}
	// The plugin checks the right to list Subaccounts before it reads a long list.
	if err := c.List(ctx, &v1alpha1.SubaccountList{}, client.Limit(1)); err != nil {
		return "", nil, nil, err
	}
	notices := newNotices(o.ErrOut)
	remotes, err = plugin.ReadAll(ctx, plivo.NewClient(base, plivo.NewHTTPClient(), credentials, userAgent()), notices, notices.progress)
	notices.clear()
	if plivo.IsKind(err, plivo.KindUnauthorized) || plivo.IsKind(err, plivo.KindForbidden) {
		err = fmt.Errorf("the credentials of %s are refused: %w", from, err)
	}
	if err != nil {
		return "", nil, nil, err
	}
	list := &v1alpha1.SubaccountList{}
	if err := c.List(ctx, list); err != nil {
		return "", nil, nil, err
	}
	plugin.FindManagers(remotes, list.Items)
	return credentials.AuthID, remotes, list.Items, nil
}

// credentials returns the credentials of the main account and their source.
func (o *options) credentials(ctx context.Context, c client.Client) (credentials plivo.Credentials, from string, err error) {
	a, secret := &v1alpha1.Account{}, &corev1.Secret{}
	err = c.Get(ctx, types.NamespacedName{Name: o.account}, a)
	given := environment()
	// The Account may not exist yet, or the user may have no right to read it.
	isOptional := err == nil || apierrors.IsNotFound(err) || apierrors.IsForbidden(err)
	switch {
	case given != nil && isOptional:
		if apierrors.IsNotFound(err) {
			_, _ = fmt.Fprintf(o.ErrOut, "Warning: the Account %s does not exist yet; reading the main account of PLIVO_AUTH_ID\n", o.account)
		}
		secret.Data, from, err = given, "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN", nil
	case err == nil:
		key := types.NamespacedName{Namespace: o.operatorNamespace, Name: a.Spec.CredentialsSecretRef.Name}
		from = "the Secret " + key.String()
		err = c.Get(ctx, key, secret)
	}
	if err != nil {
		return credentials, from, err
	}
	if credentials, err = plivo.CredentialsOf(secret.Data); err != nil {
		return credentials, from, fmt.Errorf("%s: %w", from, err)
	}
	if given != nil && a.Status.AuthID != "" && a.Status.AuthID != credentials.AuthID {
		err = fmt.Errorf("PLIVO_AUTH_ID is the main account %s, but the Account %s uses %s: unset PLIVO_AUTH_ID, or set another --account",
			credentials.AuthID, a.Name, a.Status.AuthID)
	}
	return credentials, from, err
}

// environment returns the credentials in the environment, in the form of a Secret's
// data; nil unless both variables are set.
func environment() map[string][]byte {
	data := map[string][]byte{}
	for _, name := range []string{"PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN"} {
		value, set := os.LookupEnv(name)
		if !set || value == "" {
			return nil
		}
		data[name] = []byte(value)
	}
	return data
}

// unwrapForKubectl unwraps the errors for which kubectl has its own messages.
func unwrapForKubectl(err error) error {
	var status *apierrors.StatusError
	var unreachable *url.Error
	switch {
	case errors.As(err, &status):
		return status
	case errors.As(err, &unreachable):
		return unreachable
	default:
		return err
	}
}
