package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/user"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"ferry/bulk"
	"ferry/bulk/progress"
	"ferry/config"
	"ferry/upstream"
)

func rebindCommand(stdout, stderr io.Writer) *cobra.Command {
	var rebinding bulk.Rebinding
	cmd := &cobra.Command{
		Use:   "rebind IDENTITY --to SUBJECT --reason TEXT",
		Short: "Bind a Kratos identity to another Auth0 user: the one way to change a binding.",
		Long: "Binds a Kratos identity to another Auth0 user. From then on that user's password opens it, so be sure that\n" +
			"both are the same person. What it was bound to before, the reason, the time and who did it stay on the\n" +
			"identity, in metadata_admin.auth0.rebinds, and are printed as one line of JSON.\n" +
			"With credentials for the Management API it first asks Auth0 whether it has that user.\n" +
			"Exit 0: it is bound so, 1: it is not, 2: wrong usage.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			switch {
			case err != nil:
				return errors.New("the identity is named by its id in Kratos, a UUID")
			case rebinding.Subject == "":
				return errors.New("name the Auth0 user: --to auth0|…")
			case !bulk.IsSubject(rebinding.Subject):
				return errors.New("--to wants an Auth0 user id such as auth0|5f7c8ec7c33c6c004bbafe82")
			case strings.TrimSpace(rebinding.Reason) == "":
				return errors.New("say why: --reason TEXT; it stays on the identity")
			}
			rebinding.IdentityID = id.String() // as Kratos writes it
			if rebinding.By == "" {
				if who, err := user.Current(); err == nil {
					rebinding.By = who.Username
				}
			}
			return work(func(ctx context.Context) error { return rebind(ctx, rebinding, stdout, stderr) })(cmd, args)
		},
	}
	cmd.Flags().StringVar(&rebinding.Subject, "to", "", "Auth0 user id `SUBJECT` such as auth0|5f7c8ec7c33c6c004bbafe82")
	cmd.Flags().StringVar(&rebinding.Connection, "connection", "", "Auth0 connection `NAME` that holds the user's password (default: as recorded)")
	cmd.Flags().StringVar(&rebinding.Reason, "reason", "", "why, `TEXT`; a ticket's number is a good one")
	cmd.Flags().StringVar(&rebinding.By, "by", "", "`NAME` of who does it (default: the user of this system)")
	return cmd
}

func rebind(ctx context.Context, rebinding bulk.Rebinding, stdout, stderr io.Writer) error {
	cfg, err := readSettings(config.Kratos)
	if err != nil {
		return err
	}
	if err := userExists(ctx, cfg, rebinding.Subject, stderr); err != nil {
		return err
	}
	identities, err := bulkKratos(cfg)
	if err != nil {
		return err
	}
	done, err := bulk.Rebind(ctx, identities, rebinding, progress.NewTerminal(stderr), time.Now())
	if err != nil {
		return walked(ctx, err)
	}
	if done.PasswordChanged {
		warner(stderr)("the password changed while the identity was written: ask the person to try the new one")
	}
	if !done.Changed {
		_, _ = fmt.Fprintln(stderr, "nothing to change: the identity is bound to that user already")
	}
	return json.NewEncoder(stdout).Encode(done)
}

// userExists asks Auth0 for the user that the identity is to be bound to. A user that
// Auth0 does not have is an error; that Auth0 could not be asked is a warning.
func userExists(ctx context.Context, cfg *config.Config, subject string, stderr io.Writer) error {
	if cfg.Auth0MgmtClientID == "" {
		warner(stderr)("whether Auth0 has this user is not checked: FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET are not set")
		return nil
	}
	management, err := newManagement(cfg)
	if err != nil {
		return err
	}
	_, err = management.LookUpUser(ctx, subject)
	var fault *upstream.ManagementError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return fmt.Errorf("look up the user at Auth0: it has no user %s; the identity is unchanged\nhint: the id of an account that is linked to another is no user's: name the primary one", subject)
	case err != nil:
		warner(stderr)(fmt.Sprintf("whether Auth0 has this user could not be checked: %v", err))
	}
	return nil
}
