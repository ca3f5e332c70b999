// Command ferry moves users from Auth0 to Ory Kratos. Each subcommand builds its clients
// and calls the package that does the work.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"ferry/config"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

// Exit statuses of every subcommand.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals(os.Args[1:])...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// failedError is a failure of the work. Every other error is wrong usage: an unknown
// command or flag, or an invalid setting.
type failedError struct{ error }

// Unwrap is the cause.
func (e failedError) Unwrap() error { return e.error }

// asFailed returns err as a failedError, unless it is nil or a fault of the settings.
func asFailed(err error) error {
	var faults config.Faults
	if err == nil || errors.As(err, &faults) {
		return err
	}
	return failedError{err}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	log.SetOutput(io.Discard) // net/http quotes surplus bytes of answers there
	root := rootCommand(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "ferry:", message(ctx, err))
	var resumable resumableError
	if errors.As(err, &resumable) {
		_, _ = fmt.Fprintf(stderr, "hint: %s: %s\n", resumable.hint, commandLine(args))
	}
	var failed failedError
	if errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}

// rootCommand returns ferry with all its commands.
func rootCommand(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "ferry",
		Short:         "Moves users from Auth0 to Ory Kratos, one login at a time.",
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(errors.New("give a command"), cmd.Help())
		},
	}
	root.AddCommand(
		serveCommand(stderr),
		exportCommand(stdout, stderr), importCommand(os.Stdin, stdout, stderr), reconcileCommand(os.Stdin, stdout, stderr),
		rebindCommand(stdout, stderr), planCommand(stdout, stderr), statusCommand(stdout, stderr),
		runsCommand(stdout, stderr), undoCommand(stdout, stderr), finishCommand(stdout, stderr),
		clientsCommand(stdout, stderr),
		kratosConfigCommand(stdout, stderr), hydraConfigCommand(stdout), doctorCommand(os.Stdin, stdout, stderr),
		recordCommand(stdout, stderr), replayCommand(stdout, stderr),
		mapCommand(os.Stdin, stdout, stderr), configCommand(stdout), healthCommand(), manCommand(), versionCommand(stdout),
	)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	completeValues(root)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root
}

func configCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print every setting with its source, secrets redacted; exit 2 if a setting is not valid.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.Load()
			return asFailed(errors.Join(cfg.Print(stdout), err))
		},
	}
}

func versionCommand(stdout io.Writer) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return asFailed(json.NewEncoder(stdout).Encode(map[string]string{"version": buildVersion(), "go": runtime.Version()}))
			}
			_, err := fmt.Fprintln(stdout, "ferry", buildVersion())
			return asFailed(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the version, and that of Go, as a JSON object")
	return cmd
}

// buildVersion returns the version set by the linker, or recorded by the Go toolchain.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
