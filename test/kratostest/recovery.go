package kratostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Recover takes a person through a recovery in a browser, with a code that an admin made,
// and chooses a new password in the settings.
func (k *Kratos) Recover(ctx context.Context, identityID, password string) error {
	p, err := k.newBrowser(nil)
	if err == nil {
		err = p.recoverAccount(ctx, identityID)
	}
	if err == nil {
		err = p.choosePassword(ctx, password)
	}
	if err != nil {
		return fmt.Errorf("recover identity %s: %w", identityID, err)
	}
	return nil
}

// recoverAccount uses a recovery code, which begins a session.
func (p person) recoverAccount(ctx context.Context, identityID string) error {
	var code struct {
		Link string `json:"recovery_link"`
		Code string `json:"recovery_code"`
	}
	body, err := json.Marshal(map[string]string{"identity_id": identityID})
	if err != nil {
		return err
	}
	made, err := p.sendForm(ctx, http.MethodPost, p.kratos.adminURL+"/admin/recovery/code", "application/json", string(body))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(made.body, &code); err != nil || code.Code == "" {
		return fmt.Errorf("recovery code: status %d: %s", made.status, made.body)
	}
	link, err := url.Parse(code.Link)
	if err != nil {
		return fmt.Errorf("recovery link: %w", err)
	}
	f, err := p.flowOf(ctx, "recovery", link.Query().Get("flow"))
	if err != nil {
		return err
	}
	form := url.Values{"method": {"code"}, "code": {code.Code}, "csrf_token": {f.csrfToken()}}
	used, err := p.sendForm(ctx, http.MethodPost, f.UI.Action, formType, form.Encode())
	if err != nil {
		return err
	}
	if !p.hasSession() {
		return fmt.Errorf("recovery: status %d, no session: %s", used.status, used.body)
	}
	return nil
}

// choosePassword sets a password in the settings of the browser's session.
func (p person) choosePassword(ctx context.Context, password string) error {
	begun, err := p.sendForm(ctx, http.MethodGet, p.kratos.publicURL+"/self-service/settings/browser", formType, "")
	if err != nil {
		return err
	}
	id, err := locationValue(begun, "flow")
	if err != nil {
		return err
	}
	f, err := p.flowOf(ctx, "settings", id)
	if err != nil {
		return err
	}
	form := url.Values{"method": {"password"}, "password": {password}, "csrf_token": {f.csrfToken()}}
	if _, err := p.sendForm(ctx, http.MethodPost, f.UI.Action, formType, form.Encode()); err != nil {
		return err
	}
	after, err := p.flowOf(ctx, "settings", id)
	if err != nil {
		return err
	}
	if after.State != "success" {
		return errors.New("settings: the password was not taken")
	}
	return nil
}

const formType = "application/x-www-form-urlencoded"

// sendForm sends a body as a browser does.
func (p person) sendForm(ctx context.Context, method, address, media, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "text/html")
	if media == "application/json" {
		request.Header.Set("Accept", media)
	}
	request.Header.Set("Content-Type", media)
	return send(p.http, request)
}

// flowOf reads a flow of a kind as its page does.
func (p person) flowOf(ctx context.Context, kind, id string) (flow, error) {
	status, body, err := p.kratos.get(ctx, p.http, p.kratos.publicURL+"/self-service/"+kind+"/flows", url.Values{"id": {id}})
	if err != nil {
		return flow{}, err
	}
	f, err := decodeFlow(answer{status: status, body: body})
	if err != nil {
		return flow{}, fmt.Errorf("%s: %w", kind, err)
	}
	return f, nil
}
