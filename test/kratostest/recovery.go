package kratostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Recover takes a user through a recovery with a code that an admin made, and sets a new
// password in the settings.
func (k *Kratos) Recover(ctx context.Context, identityID, password string) error {
	p, err := k.newBrowser(nil)
	if err == nil {
		err = p.recoverByAdmin(ctx, identityID, password)
	}
	if err != nil {
		return fmt.Errorf("recover identity %s: %w", identityID, err)
	}
	return nil
}

// RecoverByMail takes a user who forgot the password through a recovery with a code that
// Kratos sends by e-mail, and sets a new password in the settings.
func (k *Kratos) RecoverByMail(ctx context.Context, mail *Mailbox, email, password string) error {
	p, err := k.newBrowser(nil)
	if err == nil {
		err = p.recoverByMail(ctx, mail, email, password)
	}
	if err != nil {
		return fmt.Errorf("recover the account: %w", err)
	}
	return nil
}

// ChangePassword sets a new password in Kratos' settings, in the session of a login with
// LoginAPI.
func (k *Kratos) ChangePassword(ctx context.Context, login Login, password string) error {
	if login.sessionToken == "" {
		return errors.New("change password: the login has no session token")
	}
	p := person{kratos: k, http: k.http, edits: []RequestEdit{WithHeader("X-Session-Token", login.sessionToken)}}
	settings, err := p.initFlow(ctx, "/self-service/settings/api")
	if err == nil {
		err = p.setPassword(ctx, settings, password)
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

func (p person) recoverByAdmin(ctx context.Context, identityID, password string) error {
	body, err := json.Marshal(map[string]string{"identity_id": identityID})
	if err != nil {
		return err
	}
	made, err := p.post(ctx, p.kratos.adminURL+"/admin/recovery/code", body, http.StatusCreated)
	if err != nil {
		return err
	}
	var code struct {
		Link string `json:"recovery_link"`
		Code string `json:"recovery_code"`
	}
	if err := json.Unmarshal(made.body, &code); err != nil {
		return err
	}
	link, err := url.Parse(code.Link)
	if err != nil {
		return fmt.Errorf("recovery link: %w", err)
	}
	f, err := p.fetchFlow(ctx, "recovery", link.Query().Get("flow"))
	if err != nil {
		return err
	}
	return p.useCode(ctx, f, code.Code, password)
}

func (p person) recoverByMail(ctx context.Context, mail *Mailbox, email, password string) error {
	f, err := p.initFlow(ctx, "/self-service/recovery/browser")
	if err != nil {
		return err
	}
	if _, err := p.submit(ctx, f, http.StatusOK, map[string]string{"method": "code", "email": email}); err != nil {
		return err
	}
	code, err := mail.Code(ctx, email)
	if err != nil {
		return err
	}
	return p.useCode(ctx, f, code, password)
}

// useCode submits a recovery code, which begins a session, and sets the password in the
// settings that follow.
func (p person) useCode(ctx context.Context, recovery flow, code, password string) error {
	got, err := p.submit(ctx, recovery, http.StatusUnprocessableEntity, map[string]string{"method": "code", "code": code})
	if err != nil {
		return err
	}
	var moved struct {
		To string `json:"redirect_browser_to"`
	}
	if err := json.Unmarshal(got.body, &moved); err != nil {
		return err
	}
	to, err := url.Parse(moved.To)
	if err != nil {
		return err
	}
	settings, err := p.fetchFlow(ctx, "settings", to.Query().Get("flow"))
	if err != nil {
		return err
	}
	return p.setPassword(ctx, settings, password)
}

func (p person) setPassword(ctx context.Context, settings flow, password string) error {
	got, err := p.submit(ctx, settings, http.StatusOK, map[string]string{"method": "password", "password": password})
	if err != nil {
		return err
	}
	var changed struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal(got.body, &changed); err != nil || changed.State != "success" {
		return errors.Join(fmt.Errorf("settings: the password was not accepted: %s", got.body), err)
	}
	return nil
}

// submit posts fields to a flow as JSON.
func (p person) submit(ctx context.Context, f flow, want int, fields map[string]string) (answer, error) {
	if token := f.csrfToken(); token != "" {
		fields["csrf_token"] = token
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, err
	}
	return p.post(ctx, p.kratos.reached(f.UI.Action), body, want)
}

func (p person) post(ctx context.Context, address string, body []byte, want int) (answer, error) {
	request, err := p.request(ctx, http.MethodPost, address, "application/json", string(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	got, err := send(p.http, request)
	if err == nil && got.status != want {
		err = fmt.Errorf("POST %s: status %d: %s", request.URL.Path, got.status, got.body)
	}
	return got, err
}
