// Package plugin is what kubectl plivo does beside talking to the cluster: it
// reads the whole list of a main account's subaccounts, finds the resource that
// manages each, and writes the others as manifests that adopt them.
package plugin
