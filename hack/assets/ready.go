// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

// toolsOfTests are the tools that `make test` runs.
var toolsOfTests = []string{"cosign", "helm", "prometheus", "promtool"}

// readyTool builds a tool if the cache lacks it, and returns its path.
func readyTool(ctx context.Context, root, name string, log io.Writer) (string, error) {
	tool, err := cache.ToolByName(name)
	if err != nil {
		return "", err
	}
	path, err := tool.Path(root)
	if err != nil || cache.IsExecutable(path) {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, path+".lock", time.Second, log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if cache.IsExecutable(path) {
		return path, nil
	}
	b := build{name: name, module: tool.Dir(root), pkg: tool.Package, flags: tool.Flags, cgo: tool.Cgo, longest: tool.BuildTime}
	return path, makeFile(path, func(file string) error { return b.run(ctx, file, log) })
}

// readyForTests makes everything ready that `make test` needs, and returns the
// paths.
func readyForTests(ctx context.Context, root string, log io.Writer) ([]string, error) {
	plane, err := newControlPlane(root, "", cache.ControlPlane, log)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("curl"); err != nil {
		say(log, "curl is not installed: test/docs will not run docs/simulator.md")
	}
	sdk := filepath.Join(root, "test", "sdk")
	installSDK := needsNodeModules(ctx, sdk, log)
	if err := reportMissing(root, plane.dir, installSDK, log); err != nil {
		return nil, err
	}
	if err := plane.complete(ctx, cache.ControlPlane); err != nil {
		return nil, err
	}
	paths := []string{plane.dir}
	for _, name := range toolsOfTests {
		path, err := readyTool(ctx, root, name, log)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	if installSDK {
		return paths, installNodeModules(ctx, sdk, log)
	}
	return paths, nil
}

// reportMissing lists what is missing and how long it takes at most.
func reportMissing(root, planeDir string, installSDK bool, log io.Writer) error {
	var list bytes.Buffer
	var total time.Duration
	add := func(name string, longest time.Duration) {
		total += longest
		say(&list, "  %-25s up to %s", name, minutes(longest))
	}
	var download string
	for _, name := range cache.Missing(planeDir, cache.ControlPlane) {
		add(name, buildTimes[name])
		download = "; less if dl.k8s.io and github.com are reachable, which serve the control plane"
	}
	for _, name := range toolsOfTests {
		tool, err := cache.ToolByName(name)
		if err != nil {
			return err
		}
		path, err := tool.Path(root)
		if err != nil {
			return err
		}
		if !cache.IsExecutable(path) {
			add(name, tool.BuildTime)
		}
	}
	if installSDK {
		add("node modules of test/sdk", time.Minute)
	}
	if total == 0 {
		say(log, "Nothing that make test needs is missing")
		return nil
	}
	say(log, "Missing for make test, with the time that each takes on two cores with a cold Go build cache:\n%s"+
		"All of it takes up to %s%s", &list, minutes(total), download)
	return nil
}

// needsNodeModules reports whether Plivo's Node SDK has to be installed. Without
// Node there is nothing to install it with; the test skips itself then.
func needsNodeModules(ctx context.Context, dir string, log io.Writer) bool {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			say(log, "%s is not installed: test/sdk will not test against Plivo's Node SDK", tool)
			return false
		}
	}
	list := exec.CommandContext(ctx, "npm", "ls", "--all")
	list.Dir = dir
	return list.Run() != nil
}

// installNodeModules does not fail if no registry is reachable: the test skips
// itself if there are no node modules.
func installNodeModules(ctx context.Context, dir string, log io.Writer) error {
	say(log, "Installing Plivo's Node SDK for test/sdk")
	var out bytes.Buffer
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=30000")
	install.Dir, install.Stdout, install.Stderr = dir, &out, &out
	err := install.Run()
	if err == nil {
		return nil
	}
	for _, code := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT",
		"EHOSTUNREACH", "EIDLETIMEOUT", "E401", "E403", "E407", "E429", "E500", "E502", "E503", "E504", "CERT"} {
		if bytes.Contains(out.Bytes(), []byte(code)) {
			say(log, "npm cannot reach a registry (%s): test/sdk will not test against Plivo's Node SDK", code)
			return os.RemoveAll(filepath.Join(dir, "node_modules"))
		}
	}
	return fmt.Errorf("npm ci: %w\n%s", err, &out)
}
