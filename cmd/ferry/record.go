package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"ferry/recording"
)

func recordCommand(stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Create the key pair for recordings. `ferry serve` records if FERRY_RECORD_DIR is set.",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("give a command: ferry record keygen FILE")
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "keygen FILE",
		Short: "Create a key pair for recordings: write the private key to FILE, print the public key.",
		Long: "Creates the key pair that protects credentials in recordings. The public key is printed, for FERRY_RECORD_KEY:\n" +
			"with it ferry can seal credentials but not open them. The private key is written to a new FILE that only you can\n" +
			"read, for `ferry replay --unseal FILE`. Keep it off the machines on which ferry runs.\n\n" +
			"Exit status: 0: done. 1: the file cannot be written. 2: wrong usage, or the file exists.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s already exists: give a new file", args[0])
			}
			if err != nil {
				return asFailed(fmt.Errorf("write the private key: %w", err))
			}
			return asFailed(keygen(file, stdout, stderr))
		},
	})
	return cmd
}

// keygen writes the private key to the file, then prints the public key: a printed public key
// always has a stored private key.
func keygen(file *os.File, stdout, stderr io.Writer) error {
	public, private, err := recording.GenerateKey()
	if err == nil {
		_, err = fmt.Fprintf(file, "# The private key of ferry's recordings. It opens what this public key seals:\n# FERRY_RECORD_KEY=%s\n%s\n",
			recording.FormatKey(public), recording.FormatKey(private))
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the private key: %w", err), os.Remove(file.Name()))
	}
	if _, err := fmt.Fprintln(stdout, recording.FormatKey(public)); err != nil {
		return fmt.Errorf("print the public key: %w", err)
	}
	fmt.Fprintln(stderr, "the private key is in", file.Name()+"; set FERRY_RECORD_KEY to the line above where ferry runs")
	return nil
}
