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

// findPrograms finds ferry and the simulator in the folder of this program. `go run`
// has nothing beside it: there they are built, of the same sources.
func (s *stage) findPrograms(ctx context.Context, stderr io.Writer) (ferry, auth0 string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", fmt.Errorf("find this program: %w", err)
	}
	folder := filepath.Dir(self)
	if ranByGo(folder) {
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

// ranByGo reports whether a folder is where `go run` puts a program: go-build…/b001/exe.
func ranByGo(folder string) bool {
	return filepath.Base(folder) == "exe" && strings.HasPrefix(filepath.Base(filepath.Dir(filepath.Dir(folder))), "go-build")
}

func (s *stage) buildPrograms(ctx context.Context, stderr io.Writer) (string, error) {
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

// sibling is a program in the folder.
func sibling(folder, name string) (string, error) {
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s, which `make build` puts beside this program: %w", name, err)
	}
	return path, nil
}
