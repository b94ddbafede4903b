// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
	"github.com/subaccount-operator/subaccount-operator/internal/kube"
	"github.com/subaccount-operator/subaccount-operator/internal/plan"
	"github.com/subaccount-operator/subaccount-operator/internal/plivo"
)

// readCredentials reads the credentials Secret. If its content is not usable, it
// returns the reason. It returns an error if the Secret cannot be read; the main
// account then keeps its credentials.
func (r *Reconciler) readCredentials(ctx context.Context, a *v1alpha1.Account) (c plivo.Credentials, reason, message string, err error) {
	name := a.Spec.CredentialsSecretRef.Name
	secret := &corev1.Secret{}
	err = r.SecretCache.Get(ctx, types.NamespacedName{Namespace: r.OperatorNamespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return c, v1alpha1.ReasonCredentialsNotFound, "The Secret " + name + " does not exist in the operator's namespace " +
			r.OperatorNamespace + ". Create it with the keys auth_id and auth_token of the main account.", nil
	}
	if err != nil {
		return c, "", "", err
	}
	if c, err = plivo.CredentialsOf(secret.Data); err != nil {
		//nolint:nilerr // returned as a reason, because a retry does not help
		return c, v1alpha1.ReasonCredentialsNotFound, "The Secret " + name + " in the operator's namespace " + r.OperatorNamespace +
			" has no valid auth_id and auth_token: " + err.Error() + ".", nil
	}
	return c, "", "", nil
}

// checkAccountChanged returns AccountChanged if a Subaccount is recorded or
// pending under another main account. In the list of the new main account, that
// subaccount would seem to be deleted.
func checkAccountChanged(authID string, users []v1alpha1.Subaccount) (reason, message string) {
	for i := range users {
		if recorded := plan.RecordedAccount(&users[i]); recorded != "" && recorded != authID {
			return v1alpha1.ReasonAccountChanged, "The credentials belong to the main account " + authID + ", but Subaccounts are recorded under " +
				recorded + ". Restore the credentials of " + recorded + ", or create another Account for " + authID + "."
		}
	}
	return "", ""
}

// checkDuplicate returns DuplicateAccount if an older Account has credentials of
// the same main account. It reads only caches, so that the result does not depend
// on the order of reconciles.
func (r *Reconciler) checkDuplicate(ctx context.Context, a *v1alpha1.Account, authID string) (reason, message string, err error) {
	var all v1alpha1.AccountList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", "", err
	}
	for i := range all.Items {
		older := &all.Items[i]
		if !plan.IsOlder(older, a) || !r.Selector.Matches(labels.Set(older.Labels)) {
			continue
		}
		olderID, err := r.mainAccountID(ctx, older)
		if err != nil {
			return "", "", err
		}
		users, err := kube.SubaccountsOf(ctx, r.Client, older.Name)
		if err != nil {
			return "", "", err
		}
		if changed, _ := checkAccountChanged(authID, users); olderID == authID && changed == "" {
			return v1alpha1.ReasonDuplicateAccount, "The older Account " + older.Name + " has credentials of the same main account " + authID +
				". Delete one of the two Accounts, or give one of them credentials of another main account.", nil
		}
	}
	return "", "", nil
}

// mainAccountID returns the ID of an Account's main account. While its Secret is
// missing or not valid, that is the ID in the status.
func (r *Reconciler) mainAccountID(ctx context.Context, a *v1alpha1.Account) (string, error) {
	c, reason, _, err := r.readCredentials(ctx, a)
	if err != nil || reason == "" {
		return c.AuthID, err
	}
	return a.Status.AuthID, nil
}
