package monitoring

import (
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/subaccount-operator/subaccount-operator/internal/plivo/plivosim"
)

const (
	token  = "a-token-of-forty-characters-for-the-test"
	tenant = "secret-tenant" // a namespace, whose name no metric tells
)

// account is an Account, with credentials of a main account of its own.
type account struct{ name, credentials, budget string }

// main is the main account's ID.
func (a account) main() string {
	return ("MA" + strings.ToUpper(a.name) + strings.Repeat("0", 18))[:20]
}

// What is to be told of each is in the spec "tells what there is".
var accounts = []account{
	{"default", token, "150"},
	{"doubted", token, "150"},
	{"limited", token, "150"},
	{"narrow", token, "1"},
	{"refused", "another-token", "150"},
	{"keyless", "", "150"},
}

func (a account) manifests() string {
	secret := ""
	if a.credentials != "" {
		secret = fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {namespace: %s, name: %s}
stringData: {auth_id: %s, auth_token: %s}
---`, operatorNamespace, a.name, a.main(), a.credentials)
	}
	return secret + fmt.Sprintf(`
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Account
metadata: {name: %s}
spec: {credentialsSecretRef: {name: %[1]s}, namespaceSelector: {}, sweepInterval: 10s, requestsPer5Seconds: %s}
---`, a.name, a.budget)
}

const subaccount = `
apiVersion: plivo.subaccount-operator.dev/v1alpha1
kind: Subaccount
metadata: {namespace: ` + tenant + `, name: %s%s}
spec: {accountRef: {name: %s}, name: a name%s}
---`

// subaccounts are n of an Account, called after it.
func subaccounts(account string, n int) (manifests string) {
	for i := range n {
		manifests += fmt.Sprintf(subaccount, fmt.Sprint(account, "-", i), "", account, "")
	}
	return manifests
}

func apply(manifests string) {
	GinkgoHelper()
	kubectl(manifests, "apply", "-f", "-")
}

func control(method, path string, in any) {
	GinkgoHelper()
	Expect(plivosim.Control(ctx, sim.URL, method, path, in, nil)).To(Succeed())
}

func authID(name string) string {
	GinkgoHelper()
	return kubectl("", "get", "subaccount", "-n", tenant, name, "-o", "jsonpath={.status.authID}")
}

// live makes an installation in which something of everything has happened.
func live() {
	GinkgoHelper()
	kubectl("", "create", "namespace", tenant)
	manifests := ""
	for _, a := range accounts {
		manifests += a.manifests()
	}
	apply(manifests + subaccounts("default", 9) + subaccounts("doubted", 10) + subaccounts("narrow", 9) + subaccounts("nowhere", 2))
	subaccountsBecome(series{"account": "default", "state": "Ready"}, 9)
	subaccountsBecome(series{"account": "doubted", "state": "Ready"}, 10)
	become(`subaccount_operator_sweeps_total{account="limited",outcome="complete"} > bool 0`, 1)

	By("somebody changes one at Plivo, and deletes another; a creation of an earlier life is left there")
	control(http.MethodPatch, "subaccounts/"+authID("default-0"), map[string]string{"name": "Somebody else's"})
	control(http.MethodDelete, "subaccounts/"+authID("default-1"), nil)
	cluster := kubectl("", "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
	control(http.MethodPost, "subaccounts?account="+accounts[0].main(),
		map[string]string{"name": "k8s-" + cluster[:8] + "-00000000-0000-4000-8000-000000000000"})
	control(http.MethodPost, "subaccounts?account="+accounts[0].main(), map[string]string{"name": "made by hand"})

	By("one is suspended, one suspended and deleted, one refused, one restored without its status")
	for _, name := range []string{"default-2", "default-3"} {
		kubectl("", "patch", "subaccount", "-n", tenant, name, "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	}
	subaccountsBecome(series{"account": "default", "state": "Suspended"}, 2)
	kubectl("", "delete", "subaccount", "-n", tenant, "default-3", "--wait=false")
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: accounts[0].main(), Status: 400, Times: 1})
	apply(fmt.Sprintf(subaccount, "refused", "", "default", "") +
		fmt.Sprintf(subaccount, "restored", ", finalizers: [plivo.subaccount-operator.dev/finalizer]", "default", ""))

	By("one main account's list is empty all at once; of another the answer to a create call is lost, and then its limit is reached")
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: accounts[1].main(), Rows: plivosim.None})
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpCreate}, Account: accounts[2].main(), When: plivosim.After, What: plivosim.Cut})
	control(http.MethodPost, "faults", plivosim.Fault{Ops: []plivosim.Op{plivosim.OpList}, Account: accounts[2].main(), Status: 429})
	apply(subaccounts("limited", 1))

	By("what takes two looks a settle time apart is done")
	for _, name := range []string{"drifts_repaired", "recreations", "strays_removed"} {
		become(fmt.Sprintf(`subaccount_operator_%s_total{account="default"}`, name), 1)
	}
}

// mend ends all trouble, for the picture, and has more tenants come.
func mend() {
	GinkgoHelper()
	control(http.MethodDelete, "faults", nil)
	apply(subaccounts("default", 30))
	kubectl("", "patch", "account", "narrow", "--type=merge", "-p", `{"spec":{"requestsPer5Seconds":150}}`)
	subaccountsBecome(series{"account": "default", "state": "Ready"}, 28)
	for _, account := range []string{"doubted", "limited", "narrow"} {
		become(fmt.Sprintf(`sum(subaccount_operator_subaccounts{account=%q,state!="Ready"}) or vector(0)`, account), 0)
	}
	become(`subaccount_operator_sweeps_total{account="limited",outcome="complete"} > bool 5`, 1)
}
