// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/subaccount-operator/subaccount-operator/api/v1alpha1"
)

// authID matches the values that spec.authID accepts.
var authID = regexp.MustCompile(`^SA[A-Z0-9]{18}$`)

// maxGranted is the largest number of auth IDs in one grant.
const maxGranted = 10_000

// Export has the unmanaged subaccounts of a main account for one namespace.
type Export struct {
	// Account is the name of the resource, MainAccount the ID at Plivo.
	Account, MainAccount string
	Namespace            string

	// Notes say which unmanaged subaccounts the export omits, and why.
	Notes []string

	remotes []Remote // to export
	granted []string
	taken   map[string]bool // names of the Subaccounts in the namespace
}

// NewExport selects the subaccounts to export. all are the Subaccounts of the cluster.
func NewExport(account, mainAccount, namespace string, remotes []Remote, all []v1alpha1.Subaccount) *Export {
	e := &Export{Account: account, MainAccount: mainAccount, Namespace: namespace, taken: map[string]bool{}}
	claimed := map[string]string{}
	for i := range all {
		s := &all[i]
		if s.Namespace != namespace {
			continue
		}
		e.taken[s.Name] = true
		if s.Spec.AuthID != nil && s.Status.AuthID == "" {
			claimed[*s.Spec.AuthID] = s.Name
		}
	}
	for _, r := range NewRemoteList(Unmanaged(remotes)).Items {
		switch name := claimed[r.AuthID]; {
		case r.Unfinished:
			e.note(r, "an unfinished creation of the operator, in this cluster or another")
		case !authID.MatchString(r.AuthID):
			e.note(r, "the auth ID has an unknown form")
		case name != "":
			e.note(r, "the Subaccount "+name+" has it in spec.authID")
			e.granted = append(e.granted, r.AuthID)
		default:
			e.remotes = append(e.remotes, r)
			e.granted = append(e.granted, r.AuthID)
		}
	}
	return e
}

func (e *Export) note(r Remote, why string) {
	e.Notes = append(e.Notes, cell(r.AuthID)+" is omitted: "+why+".")
}

// Empty says whether there is no subaccount to adopt.
func (e *Export) Empty() bool { return len(e.granted) == 0 }

const header = `Subaccounts for the namespace %[3]s. They adopt the %[2]d subaccounts of the Plivo main account %[1]s
that no resource of this cluster manages.

The Account %[4]s must grant the adoption to the namespace until all are Ready. The lines that begin with "#grant"
are this grant. Other grants of the Account stay as they are. With this file as export.yaml:

  sed -n 's/^#grant //p' export.yaml | kubectl apply --server-side --field-manager=plivo-export-%[3]s -f -
  kubectl apply -f export.yaml
  kubectl wait --for=condition=Ready --timeout=5m -f export.yaml

To withdraw the grant once all are Ready:

  sed -n 's/^#grant //p' export.yaml | head -4 | kubectl apply --server-side --field-manager=plivo-export-%[3]s -f -
`

const ofAll = `
These are more than the %[1]d that one grant can have, so the grant is for "*". Until you withdraw it, the namespace %[2]s
may adopt every subaccount of the main account that no resource manages, later ones included, and read its token.
`

// Write writes the manifests as a YAML stream.
func (e *Export) Write(w io.Writer) error {
	var b strings.Builder
	comment(&b, fmt.Sprintf(header, e.MainAccount, len(e.remotes), e.Namespace, e.Account))
	if e.grantsAll() {
		comment(&b, fmt.Sprintf(ofAll, maxGranted, e.Namespace))
	}
	if len(e.Notes) > 0 {
		comment(&b, "\n"+strings.Join(e.Notes, "\n"))
	}
	b.WriteString("#\n" + e.grant())
	for i, name := range resourceNames(e.remotes, e.taken) {
		b.WriteString("---\n")
		if err := e.write(&b, e.remotes[i], name); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func comment(b *strings.Builder, text string) {
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

func (e *Export) grantsAll() bool { return len(e.granted) > maxGranted }

// grant returns a part of the Account for a server-side apply, which keeps the grants of
// other field managers. Its first four lines alone withdraw the grant.
func (e *Export) grant() string {
	ids := slices.Sorted(slices.Values(e.granted))
	if e.grantsAll() {
		ids = []string{strconv.Quote(v1alpha1.AnyAuthID)}
	}
	lines := []string{
		"apiVersion: " + v1alpha1.GroupVersion.String(), "kind: Account", "metadata:", "  name: " + strconv.Quote(e.Account),
		"spec:", "  adoption:", "  - namespace: " + strconv.Quote(e.Namespace), "    authIDs:",
	}
	for _, id := range ids {
		lines = append(lines, "    - "+id)
	}
	return "#grant " + strings.Join(lines, "\n#grant ") + "\n"
}

func (e *Export) write(b *strings.Builder, r Remote, name string) error {
	s := &v1alpha1.Subaccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Subaccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: name},
		Spec: v1alpha1.SubaccountSpec{
			AuthID: &r.AuthID, Name: &r.Name, Enabled: ptr.To(r.Enabled), DeletionPolicy: v1alpha1.DeletionPolicyOrphan,
		},
	}
	if e.Account != v1alpha1.DefaultAccountName {
		s.Spec.AccountRef.Name = e.Account
	}
	why := Refusal(r.Name)
	if why != "" {
		s.Spec.Name = nil
		comment(b, "spec.name does not accept the name at Plivo: "+why+". The name at Plivo stays as it is.")
	}
	if why != "" || Printable(r.Name) != r.Name { // an invisible character could mislead the reader
		comment(b, "The name at Plivo: "+strconv.Quote(shorten(r.Name)))
	}
	manifest, err := yaml.Marshal(s)
	b.Write(manifest)
	return err
}
