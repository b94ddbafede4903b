// SPDX-License-Identifier: Apache-2.0

// Package kube has what both reconcilers need from Kubernetes:
//
//	cache.go       options, transforms and indexes of the caches
//	secret.go      the operator's annotation on a Secret, and the Secret's transform
//	live.go        lists from the cache and reads from the API server
//	source.go      a source that enqueues requests from outside of a watch
//	retry.go       backoff and logging of failed reconciles
//	namespaces.go  the right to watch Secrets in each of --namespaces
//	ready.go       the readiness check
//
// The package must not import internal/controller or internal/mainaccount.
// docs/decisions/006-what-memory-buys.md explains the transforms,
// docs/decisions/007-rights-by-namespace.md the rights.
package kube
