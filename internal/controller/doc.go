// Package controller is the I/O of the operator: the reconcilers of both
// kinds. Data takes one way through a pass: observe, decide, perform, report.
// What to do is decided in internal/plan; here it is done.
package controller
