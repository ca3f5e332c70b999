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

	"ferry/audit"
	"ferry/bulk/progress"
	"ferry/bulk/rebind"
	"ferry/config"
	"ferry/hook"
	"ferry/upstream"
)

func rebindCommand(stdout, stderr io.Writer) *cobra.Command {
	var request rebind.Request
	cmd := &cobra.Command{
		Use:   "rebind IDENTITY --to SUBJECT --reason TEXT",
		Short: "Bind a Kratos identity to another Auth0 user: the only way to change a binding.",
		Long: "Binds a Kratos identity to another Auth0 user. That user's password then opens it, so make sure that both\n" +
			"are the same person. The earlier binding, the reason, the time and who did it are stored on the identity,\n" +
			"in metadata_admin.auth0.rebinds, and printed as one line of JSON.\n" +
			"With credentials for the Management API it first asks Auth0 whether it has that user.\n" +
			"Exit 0: the identity is bound to the user, 1: it is not, 2: wrong usage.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			switch {
			case err != nil:
				return errors.New("IDENTITY must be its id in Kratos, a UUID")
			case request.Subject == "":
				return errors.New("name the Auth0 user: --to auth0|…")
			case !rebind.IsSubject(request.Subject):
				return errors.New("--to must be an Auth0 user id such as auth0|5f7c8ec7c33c6c004bbafe82")
			case strings.TrimSpace(request.Reason) == "":
				return errors.New("give a reason: --reason TEXT; it is stored on the identity")
			}
			request.IdentityID = id.String() // as Kratos writes it
			if request.By == "" {
				if who, err := user.Current(); err == nil {
					request.By = who.Username
				}
			}
			return asFailed(runRebind(cmd.Context(), request, stdout, stderr))
		},
	}
	cmd.Flags().StringVar(&request.Subject, "to", "", "Auth0 user id `SUBJECT` such as auth0|5f7c8ec7c33c6c004bbafe82")
	cmd.Flags().StringVar(&request.Connection, "connection", "", "Auth0 connection `NAME` that has the user's password (default: as recorded)")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "reason `TEXT`, such as the number of a ticket")
	cmd.Flags().StringVar(&request.By, "by", "", "`NAME` of the operator (default: the user of this system)")
	return cmd
}

func runRebind(ctx context.Context, request rebind.Request, stdout, stderr io.Writer) error {
	cfg, err := readSettings(config.Kratos)
	if err != nil {
		return err
	}
	if err := userExists(ctx, cfg, request.Subject, stderr); err != nil {
		return err
	}
	identities, err := bulkKratos(cfg)
	if err != nil {
		return err
	}
	done, err := rebind.Run(ctx, identities, request, progress.NewTerminal(stderr), time.Now())
	if err != nil {
		return walked(ctx, err)
	}
	if done.Changed {
		auditCommand(cfg, audit.Record{
			Command: "rebind", Actor: audit.Actor{Name: done.By}, IdentityID: done.IdentityID,
			SubjectHash: hook.Hash(logHashKey(cfg), done.To), Realm: done.Connection,
		}, nil, stderr)
	}
	if done.PasswordChanged {
		warner(stderr)("the password changed while the identity was written: ask the user to try the new one")
	}
	if !done.Changed {
		_, _ = fmt.Fprintln(stderr, "nothing to change: the identity is bound to that user already")
	}
	return json.NewEncoder(stdout).Encode(done)
}

// userExists asks Auth0 for the user. It returns an error if Auth0 does not have the user,
// and only warns if Auth0 cannot be asked.
func userExists(ctx context.Context, cfg *config.Config, subject string, stderr io.Writer) error {
	if cfg.Auth0MgmtClientID == "" {
		warner(stderr)("whether Auth0 has this user is not checked: FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET are not set")
		return nil
	}
	management, err := newManagement(cfg, nil)
	if err != nil {
		return err
	}
	_, err = management.LookUpUser(ctx, subject)
	var fault *upstream.ManagementError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return fmt.Errorf("look up the user at Auth0: it has no user %s; the identity is unchanged\nhint: the id of a linked account is not the id of a user: give the id of the primary account", subject)
	case err != nil:
		warner(stderr)(fmt.Sprintf("whether Auth0 has this user could not be checked: %v", err))
	}
	return nil
}
