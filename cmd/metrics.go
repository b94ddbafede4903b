// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/subaccount-operator/subaccount-operator/internal/metricsauth"
)

// metricsCertificate returns the certificate in --metrics-cert-path, or nil without
// the flag. It does not use Options.CertDir: if a file is missing there,
// controller-runtime silently serves a self-signed certificate.
func metricsCertificate(o options) (*certwatcher.CertWatcher, error) {
	if o.metricsCertPath == "" {
		return nil, nil
	}
	certificate, err := certwatcher.New(filepath.Join(o.metricsCertPath, o.metricsCertName), filepath.Join(o.metricsCertPath, o.metricsCertKey))
	if err != nil {
		return nil, fmt.Errorf("--metrics-cert-path: %w", err)
	}
	return certificate, nil
}

func metricsOptions(o options, certificate *certwatcher.CertWatcher) metricsserver.Options {
	serving := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		serving.FilterProvider = metricsauth.Filter
	}
	serving.TLSOpts = []func(*tls.Config){func(config *tls.Config) {
		// No HTTP/2, because of Rapid Reset (CVE-2023-44487). Prometheus sends one
		// request at a time and does not need it.
		config.NextProtos = []string{"http/1.1"}
		if certificate != nil {
			config.GetCertificate = certificate.GetCertificate
		}
	}}
	return serving
}
