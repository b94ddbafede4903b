// SPDX-License-Identifier: Apache-2.0

// Command assets provides the pinned programs that `make` needs. It finds them in the
// user's cache folder, or downloads or builds them. It prints their paths on stdout
// and its progress on stderr.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/subaccount-operator/subaccount-operator/hack/assets/cache"
)

const usage = `usage: go run ./hack/assets COMMAND
  control-plane [-kubernetes MINOR] [BINARY ...]
                    prints the folder with the control plane's binaries (default: all four)
  tool NAME ...     prints the path of each tool that a go.mod in or below hack/tools pins
  all               makes ready what make test needs, and prints the paths
  pin VERSION       writes the module that pins a version of Kubernetes, for -kubernetes`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	paths, err := run(ctx, os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
	for _, path := range paths {
		fmt.Println(path)
	}
}

func run(ctx context.Context, args []string, log io.Writer) (paths []string, err error) {
	root, err := cache.Root()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New(usage)
	}
	switch command, args := args[0], args[1:]; {
	case command == "control-plane":
		return readyControlPlane(ctx, root, args, log)
	case command == "tool" && len(args) > 0:
		for _, name := range args {
			path, err := readyTool(ctx, root, name, log)
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
		return paths, nil
	case command == "all" && len(args) == 0:
		return readyForTests(ctx, root, log)
	case command == "pin" && len(args) == 1:
		dir, err := pin(ctx, root, args[0])
		return []string{dir}, err
	default:
		return nil, errors.New(usage)
	}
}

func readyControlPlane(ctx context.Context, root string, args []string, log io.Writer) ([]string, error) {
	flags := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	flags.SetOutput(log)
	minor := flags.String("kubernetes", "", "`minor` version of Kubernetes, such as 1.32; default: the one that hack/controlplane/go.mod requires")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	names := flags.Args()
	if len(names) == 0 {
		names = cache.ControlPlane
	}
	plane, err := newControlPlane(root, *minor, names, log)
	if err != nil {
		return nil, err
	}
	return []string{plane.dir}, plane.complete(ctx, names)
}
