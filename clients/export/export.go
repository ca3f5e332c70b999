// Package export reads the applications of a tenant through the Management API and writes them
// to a file.
//
//	read all applications, APIs and client grants, page by page
//	for each application that authenticates with a key: read what describes the key
//	leave out what no import needs (signing keys, pages of HTML)
//	write one JSON object to a second file, mode 0600, and rename it
//
// The file contains client secrets. It does not decide what an application becomes.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ferry/bulk/progress"
	"ferry/bulk/tempfile"
	"ferry/clients"
	"ferry/strictjson"
	"ferry/upstream"
)

// Options say what to export and where. All are required but IDs.
type Options struct {
	Auth0 *upstream.Management
	// Tenant is the canonical domain of the tenant.
	Tenant string
	// Out is the file to write.
	Out string
	// IDs are the client ids of the applications to export; none: all.
	IDs      []string
	Progress progress.Reporter
	Now      func() time.Time
	// Check is called before the file is renamed to Out; an error leaves Out as it is.
	Check func() error
}

// Result describes an export.
type Result struct {
	Path         string `json:"path"`
	Applications int    `json:"applications"`
	APIs         int    `json:"apis"`
	ClientGrants int    `json:"client_grants"`
	// NoSecret are the client ids of applications that authenticate with a secret which Auth0 did
	// not send: without read:client_keys, those of all of them.
	NoSecret []string `json:"no_secret"`
	// NoKeys are the client ids of applications that authenticate with a key. Auth0 does not hand
	// out public keys.
	NoKeys []string `json:"no_keys"`
}

// Run reads the tenant and writes the file. Errors wrap *upstream.ManagementError if Auth0
// refused or failed.
func Run(ctx context.Context, opts Options) (Result, error) {
	if opts.Auth0 == nil || opts.Out == "" || opts.Progress == nil || opts.Now == nil || opts.Check == nil {
		return Result{}, errors.New("export applications: auth0, an output, progress, clock and check are required")
	}
	file, result, err := read(ctx, opts)
	if err == nil {
		err = write(opts, file)
	}
	if err != nil {
		return Result{}, fmt.Errorf("export applications: %w", err)
	}
	return result, nil
}

// read reads everything from Auth0.
func read(ctx context.Context, opts Options) (clients.File, Result, error) {
	file := clients.File{Kind: clients.FileKind, Tenant: opts.Tenant, ExportedAt: opts.Now().UTC().Truncate(time.Second), Credentials: map[string][]json.RawMessage{}}
	result := Result{Path: opts.Out, NoSecret: []string{}, NoKeys: []string{}}
	opts.Progress.Start("applications", 0)
	defer opts.Progress.Done()
	for _, list := range []struct {
		what, scope string
		read        func(context.Context) ([][]byte, error)
		into        *[]json.RawMessage
	}{
		{"applications", "read:clients", opts.Auth0.Applications, &file.Clients},
		{"APIs", "read:resource_servers", opts.Auth0.APIs, &file.ResourceServers},
		{"client grants", "read:client_grants", opts.Auth0.ClientGrants, &file.ClientGrants},
	} {
		all, err := list.read(ctx)
		if err != nil {
			return file, result, fmt.Errorf("read the %s: %w", list.what, explained(err, list.scope))
		}
		*list.into = []json.RawMessage{}
		for _, one := range all {
			*list.into = append(*list.into, one)
		}
	}
	if err := selectAndTrim(ctx, opts, &file, &result); err != nil {
		return file, result, err
	}
	result.Applications, result.APIs, result.ClientGrants = len(file.Clients), len(file.ResourceServers), len(file.ClientGrants)
	return file, result, nil
}

// unneeded are fields that are large, or secret, and that no import uses.
func unneeded() []string {
	return []string{"signing_keys", "encryption_key", "custom_login_page_preview", "custom_login_page_codeview", "owners"}
}

// selectAndTrim keeps the applications that are wanted, without unneeded fields, and notes
// missing secrets and keys.
func selectAndTrim(ctx context.Context, opts Options, file *clients.File, result *Result) error {
	missing, kept := slices.Clone(opts.IDs), []json.RawMessage{}
	for _, raw := range file.Clients {
		app, err := strictjson.Value(raw, "client_metadata", "addons", "mobile", "external_metadata")
		fields, ok := app.(map[string]any)
		id, _ := fields["client_id"].(string)
		if err != nil || !ok || id == "" {
			return errors.New("read the applications: Auth0 sent one without a client_id, or with a field that occurs twice")
		}
		if len(opts.IDs) > 0 && !slices.Contains(opts.IDs, id) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == id })
		for _, name := range unneeded() {
			delete(fields, name)
		}
		trimmed, err := json.Marshal(fields)
		if err != nil {
			return fmt.Errorf("read the applications: %w", err)
		}
		kept = append(kept, trimmed)
		if err := credentials(ctx, opts, id, fields, file, result); err != nil {
			return err
		}
		opts.Progress.Add(1)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the tenant has no application %s", strings.Join(missing, ", "))
	}
	file.Clients = kept
	return nil
}

// credentials notes how an application authenticates, and reads what describes its keys.
func credentials(ctx context.Context, opts Options, id string, fields map[string]any, file *clients.File, result *Result) error {
	if methods, _ := fields["client_authentication_methods"].(map[string]any); methods["private_key_jwt"] != nil {
		if fields["jwks_uri"] == nil || fields["jwks_uri"] == "" {
			result.NoKeys = append(result.NoKeys, id)
		}
		all, err := opts.Auth0.ApplicationCredentials(ctx, id)
		if err != nil {
			return fmt.Errorf("read the credentials of %s: %w", id, explained(err, "read:client_credentials"))
		}
		for _, one := range all {
			file.Credentials[id] = append(file.Credentials[id], one)
		}
		return nil
	}
	method, _ := fields["token_endpoint_auth_method"].(string)
	appType, _ := fields["app_type"].(string)
	secret, _ := fields["client_secret"].(string)
	global, _ := fields["global"].(bool)
	if secret == "" && !global && clients.HasSecret(method, appType) {
		result.NoSecret = append(result.NoSecret, id)
	}
	return nil
}

// write writes the file.
func write(opts Options, file clients.File) error {
	err := tempfile.Replace(opts.Out, func(to *os.File) error {
		encoder := json.NewEncoder(to)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(file); err != nil {
			return err
		}
		return opts.Check()
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", opts.Out, err)
	}
	return nil
}

// explained adds what the operator can do if Auth0 refused.
func explained(err error, scope string) error {
	var refusal *upstream.ManagementError
	switch {
	case !errors.As(err, &refusal):
	case refusal.Code == "insufficient_scope":
		return fmt.Errorf("%w; the Management API application needs the scope %s", err, scope)
	case strings.HasPrefix(refusal.Reason, "token_") && !refusal.Temporary:
		return fmt.Errorf("%w; check the id and the secret of the Management API application, and that it is authorized for that API", err)
	}
	return err
}
