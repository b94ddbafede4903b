// Package account is one Plivo main account as this process knows it: the
// client and its credentials, the budget, the circuit that opens when the
// credentials are refused, and the inventory that sweeps of the whole list
// fill. It knows nothing of Kubernetes.
package mainaccount
