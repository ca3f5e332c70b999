package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// findPrograms finds ferry and the simulator in the folder of this program. If they are not
// there, as with `go run`, and the working directory is in ferry's module, it builds them.
func (s *stack) findPrograms(ctx context.Context, stderr io.Writer) (ferry, auth0 string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", fmt.Errorf("find this program: %w", err)
	}
	folder := filepath.Dir(self)
	if _, err := sibling(folder, "ferry"); err != nil && withinSources(ctx) {
		if folder, err = s.buildPrograms(ctx, stderr); err != nil {
			return "", "", err
		}
	}
	if ferry, err = sibling(folder, "ferry"); err != nil {
		return "", "", err
	}
	auth0, err = sibling(folder, "auth0sim")
	return ferry, auth0, err
}

// withinSources reports whether the working directory is in ferry's module.
func withinSources(ctx context.Context) bool {
	module, err := exec.CommandContext(ctx, "go", "list", "-m").Output()
	return err == nil && strings.TrimSpace(string(module)) == "ferry"
}

func (s *stack) buildPrograms(ctx context.Context, stderr io.Writer) (string, error) {
	folder, err := os.MkdirTemp("", "ferry-demo-")
	if err != nil {
		return "", fmt.Errorf("build ferry: %w", err)
	}
	s.built = folder
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", folder+string(filepath.Separator), "ferry/cmd/ferry", "ferry/cmd/auth0sim") //nolint:gosec // the folder was just made
	build.Stderr = stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build ferry: %w", err)
	}
	return folder, nil
}

// sibling returns the path of a program in the folder.
func sibling(folder, name string) (string, error) {
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s, which `make build` writes to the folder of this program: %w", name, err)
	}
	return path, nil
}
