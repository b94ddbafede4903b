// Package version holds the version that the build stamps into every binary.
package version

import "runtime/debug"

// version is set by the build: -ldflags "-X …/internal/version.version=v1.2.3".
var version string

// String returns the stamped version; without a stamp the module's or the
// commit's, as far as the Go toolchain recorded one, else "dev".
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
