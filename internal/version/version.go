// SPDX-License-Identifier: Apache-2.0

// Package version has the version of the binaries. It must import nothing of this
// module.
package version

import "runtime/debug"

// version is set by the Makefile: -ldflags "-X …/internal/version.version=v1.2.3".
var version string

// String returns the version that the Makefile set. If it set none, String returns
// the version of the module or the commit that the Go toolchain recorded, or "dev".
func String() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "dev-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "dev"
}
