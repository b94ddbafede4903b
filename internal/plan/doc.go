// Package subaccount is the pure core of the operator: what is known about
// one Subaccount goes in as an Observation, what to do next comes out as a
// Decision, and what to tell about it as a Summary.
//
// There is no client, no HTTP and no clock here. Every fact is Known, Absent
// or Unknown, and Unknown never collapses into Absent: a Decision that rests
// on a fact that is Unknown is one to look, or to wait.
//
// The protocol that makes exactly one subaccount for each resource is in
// docs/decisions/001-exactly-one.md.
package plan
