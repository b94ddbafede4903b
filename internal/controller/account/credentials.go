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

// credentials reads the credentials Secret.
func (r *Reconciler) credentials(ctx context.Context, a *v1alpha1.Account) (c plivo.Credentials, reason, message string, err error) {
	name := a.Spec.CredentialsSecretRef.Name
	secret := &corev1.Secret{}
	err = r.Credentials.Get(ctx, types.NamespacedName{Namespace: r.OperatorNamespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return c, v1alpha1.ReasonCredentialsNotFound, "There is no Secret " + name + " in the operator's namespace " +
			r.OperatorNamespace + ": create it with auth_id and auth_token of the main account.", nil
	}
	if err != nil {
		return c, "", "", err // passing: what was configured before stays in use
	}
	if c, err = plivo.CredentialsOf(secret.Data); err != nil {
		//nolint:nilerr // told as a reason: trying again would not help
		return c, v1alpha1.ReasonCredentialsNotFound, "The Secret " + name + " in the operator's namespace " + r.OperatorNamespace +
			" holds no usable auth_id and auth_token: " + err.Error() + ".", nil
	}
	return c, "", "", nil
}

// checkAccountChanged refuses credentials of another main account than any of the
// Subaccounts is recorded or pending under: each would look deleted.
func checkAccountChanged(authID string, users []v1alpha1.Subaccount) (reason, message string) {
	for i := range users {
		if recorded := plan.RecordedAccount(&users[i]); recorded != "" && recorded != authID {
			return v1alpha1.ReasonAccountChanged, "The credentials are those of the main account " + authID + ", and there are Subaccounts under " +
				recorded + ": give the credentials of " + recorded + ", or make another Account."
		}
	}
	return "", ""
}

// checkDuplicate refuses the credentials of a main account that an older Account
// has. The cache alone decides, so that the order of reconciles does not matter.
func (r *Reconciler) checkDuplicate(ctx context.Context, a *v1alpha1.Account, authID string) (reason, message string, err error) {
	var all v1alpha1.AccountList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", "", err
	}
	for i := range all.Items {
		older := &all.Items[i]
		if !isOlder(older, a) || !r.Selector.Matches(labels.Set(older.Labels)) {
			continue
		}
		has, err := r.mainAccount(ctx, older)
		if err != nil {
			return "", "", err
		}
		users, err := kube.SubaccountsOf(ctx, r.Client, older.Name)
		if err != nil {
			return "", "", err
		}
		if changed, _ := checkAccountChanged(authID, users); has == authID && changed == "" {
			return v1alpha1.ReasonDuplicateAccount, "The older Account " + older.Name + " has credentials of the same main account " + authID +
				": delete one of the two Accounts, or give one of them credentials of another main account.", nil
		}
	}
	return "", "", nil
}

func isOlder(a, than *v1alpha1.Account) bool {
	return a.CreationTimestamp.Before(&than.CreationTimestamp) ||
		a.CreationTimestamp.Equal(&than.CreationTimestamp) && a.UID < than.UID
}

// mainAccount returns the ID of an Account's main account. An Account whose
// Secret is missing for a while keeps the main account in its status.
func (r *Reconciler) mainAccount(ctx context.Context, a *v1alpha1.Account) (string, error) {
	c, unusable, _, err := r.credentials(ctx, a)
	if err != nil || unusable == "" {
		return c.AuthID, err
	}
	return a.Status.AuthID, nil
}
