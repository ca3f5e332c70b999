package kratostest

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// LoginByCode logs in as a native app does, with a code that Kratos sends to the identifier.
func (k *Kratos) LoginByCode(ctx context.Context, mail *Mailbox, identifier string) (Login, error) {
	ctx, cancel := context.WithTimeout(ctx, codeLimit)
	defer cancel()
	p := person{kratos: k, http: k.http}
	login, err := p.loginByCode(ctx, mail, identifier)
	if err != nil {
		return Login{}, fmt.Errorf("login by a code: %w", err)
	}
	return login, nil
}

// codeLimit bounds a login by a code: Kratos looks for messages to send once a second.
const codeLimit = 30 * time.Second

func (p person) loginByCode(ctx context.Context, mail *Mailbox, identifier string) (Login, error) {
	f, err := p.initFlow(ctx, "/self-service/login/api")
	if err != nil {
		return Login{}, err
	}
	// Kratos answers that a code was sent with the status of an error.
	if _, err := p.submit(ctx, f, http.StatusBadRequest, map[string]string{"method": "code", "identifier": identifier}); err != nil {
		return Login{}, err
	}
	code, err := mail.Code(ctx, identifier)
	if err != nil {
		return Login{}, err
	}
	got, err := p.submit(ctx, f, http.StatusOK, map[string]string{"method": "code", "identifier": identifier, "code": code})
	if err != nil {
		return Login{}, err
	}
	return readLogin(got)
}
