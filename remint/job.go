package remint

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"ferry/hydra"
	"ferry/secret"
	"ferry/upstream"
)

// job is the work on one token.
type job struct {
	*Reminter

	req         Request
	key         [32]byte
	client      hydra.OAuth2Client
	credentials hydra.Credentials // as the client presents them to Hydra
	record      record
	asked       bool // Auth0 was asked
}

// checkClient finds out whether the client may have tokens of Hydra, and is who it says. The zero
// end: it is. An assertion can be used once, so for it only its audience is checked: Auth0 or
// Hydra verifies it later, before there are tokens.
func (j *job) checkClient(ctx context.Context) end {
	var err error
	if j.client, err = j.opts.Hydra.OAuth2Client(ctx, j.req.Credentials.ClientID); err != nil {
		e := hydraEnd(err)
		if e.is == resultInvalidClient { // FERRY_REMINT_CLIENTS names it, but it was not imported
			e.is = resultMisconfigured
		}
		return e
	}
	j.credentials = j.req.Credentials
	j.credentials.Method = j.client.Method
	switch j.client.Method {
	case hydra.SecretPost, hydra.SecretBasic:
		if j.credentials.Secret.Empty() {
			return end{is: resultInvalidClient, reason: "no_secret"}
		}
	case hydra.PrivateKeyJWT:
		fits, err := j.opts.Hydra.AcceptsAssertion(ctx, j.credentials.Assertion)
		switch {
		case err != nil:
			return hydraEnd(err)
		case !fits:
			return end{is: resultInvalidClient, reason: "assertion_audience"}
		}
		return end{}
	case hydra.None:
	}
	if err := j.opts.Hydra.Probe(ctx, j.credentials); err != nil {
		return hydraEnd(err)
	}
	return end{}
}

// run goes on from the state of the record.
func (j *job) run(ctx context.Context) end {
	now := j.opts.Now()
	if j.record.state == stateMinted && now.Sub(j.record.mintedAt) < j.opts.Grace && j.client.Method != hydra.PrivateKeyJWT {
		return j.given(ctx, resultRepeated)
	}
	fresh := now.Sub(j.record.redeemedAt) < j.opts.FreshFor
	if j.record.state == stateAnswered && (!fresh || now.Sub(j.record.mintedAt) >= j.opts.Grace) {
		j.record = record{} // the client has other tokens: Auth0 decides about this one
	}
	flow, err := j.opts.Hydra.Begin(ctx, j.client)
	if err != nil {
		return hydraEnd(err)
	}
	switch j.record.state {
	case stateNew, stateRedeeming:
		fresh = false
	case stateRedeemed, stateMinted, stateAnswered:
	}
	if !fresh {
		if e := j.redeem(ctx); e.is != "" {
			return e
		}
	}
	session, err := j.opts.Auth0.Identify(ctx, j.client.ID, j.record.answer)
	if err != nil {
		return auth0End(err)
	}
	subject := session.Profile.Subject
	identity, e := j.identityOf(ctx, session)
	if e.is == "" {
		e = j.mint(ctx, flow, grantFor(identity, session))
	}
	e.subject, e.identity = subject, identity
	return e
}

// redeem redeems the next token of the record, and writes what Auth0 answered before anything
// else happens. The zero end: Auth0 gave tokens.
func (j *job) redeem(ctx context.Context) end {
	before := j.record
	next := before.token
	if before.state == stateNew {
		next = j.req.RefreshToken
	}
	chain := hydra.Tokens{RefreshToken: before.tokens.RefreshToken}
	j.record = record{state: stateRedeeming, token: next, tokens: chain}
	if err := j.save(ctx, j.opts.Keep); err != nil {
		return end{is: resultUnavailable, reason: "store", fault: err}
	}
	j.asked = true
	redeemed, err := j.opts.Auth0.Redeem(ctx, j.atAuth0(next))
	if err != nil {
		return j.notRedeemed(ctx, before, err)
	}
	if successor := redeemed.Successor(); !successor.Empty() {
		next = successor
	}
	j.record = record{state: stateRedeemed, token: next, tokens: chain, answer: redeemed, redeemedAt: j.opts.Now()}
	if err := j.save(context.WithoutCancel(ctx), j.opts.Keep); err != nil {
		// To go on is the best that is left: the client may get its tokens all the same.
		j.opts.Log.Error("remint: Auth0's answer is not in the store", zap.String("client_id", j.client.ID), zap.Error(err))
	}
	return end{}
}

// notRedeemed is the end of a request whose token Auth0 did not redeem.
func (j *job) notRedeemed(ctx context.Context, before record, err error) end {
	e := auth0End(err)
	var fault *upstream.LoginError
	unsent := errors.As(err, &fault) && upstream.Unsent(fault.Reason)
	if unsent && upstream.Unasked(fault.Reason) {
		j.asked = false
	}
	// Auth0 has not redeemed the token if it does not accept the client or the request either.
	untouched := unsent || e.is == resultMisconfigured
	rejected := e.is == resultRejected
	if rejected && before.state == stateRedeeming {
		e.reason = reasonAfterLoss
	}
	var undo error
	switch {
	case rejected, untouched && before.state == stateNew:
		undo = j.opts.Store.Delete(ctx, j.key)
	case untouched:
		j.record = before
		undo = j.save(ctx, j.opts.Keep)
	}
	if undo != nil {
		j.opts.Log.Warn("remint: record not changed", zap.String("client_id", j.client.ID), zap.Error(undo))
	}
	return e
}

// reasonAfterLoss: Auth0 refuses a token that was sent before, and whose answer ferry did not
// see. The overlap period of the application may be too short.
const reasonAfterLoss = "rejected_after_lost_answer"

// revoke revokes Hydra's chain, as far as the record knows it, and at Auth0 the token that would be
// redeemed next: Auth0 revokes its whole family, also where the token that came has been redeemed.
// An assertion can be used once at each, so no other token is revoked. If one of them does not
// answer, the other is asked all the same, and the record stays for the next try.
func (j *job) revoke(ctx context.Context) end {
	e := end{is: resultRevoked, identity: j.record.identity}
	chain := j.record.tokens.RefreshToken
	if !chain.Empty() {
		if err := j.opts.Hydra.Revoke(ctx, j.credentials, chain); err != nil {
			e = hydraEnd(err)
		}
	}
	next := j.record.token
	if next.Empty() {
		next = j.req.RefreshToken
	}
	j.asked = true
	if err := j.opts.Auth0.Revoke(ctx, j.atAuth0(next)); err != nil {
		e = auth0End(err)
	}
	if e.is != resultRevoked {
		return e
	}
	err := j.opts.Store.Delete(ctx, j.key)
	if err == nil && !chain.Empty() {
		err = j.opts.Store.Delete(ctx, chainKey(chain))
	}
	if err != nil {
		return end{is: resultUnavailable, reason: "store", fault: err}
	}
	return e
}

// atAuth0 is a token of the client as it is sent to Auth0.
func (j *job) atAuth0(token secret.String) upstream.RefreshToken {
	t := upstream.RefreshToken{Token: token, ClientID: j.client.ID, Auth: authAtAuth0(j.req.Credentials), From: j.req.ClientIP}
	if j.opts.ForwardClientIP {
		t.ClientIP = j.req.ClientIP
	}
	return t
}

// authAtAuth0 is how the client authenticates at Auth0: as it did here.
func authAtAuth0(c hydra.Credentials) upstream.ClientAuth {
	switch c.Method {
	case hydra.SecretPost:
		return upstream.SecretPost(c.ClientID, c.Secret)
	case hydra.SecretBasic:
		return upstream.SecretBasic(c.ClientID, c.Secret)
	case hydra.PrivateKeyJWT:
		return upstream.ForwardedAssertion(c.ClientID, c.Assertion)
	case hydra.None:
	}
	return upstream.NoSecret(c.ClientID)
}

// mint obtains tokens and writes them. Hydra's flow is tried a second time, from the start: what
// the first one left has no one.
func (j *job) mint(ctx context.Context, flow *hydra.Flow, grant hydra.Grant) end {
	tokens, err := j.opts.Hydra.Mint(ctx, flow, grant, j.credentials)
	if isTransient(err) && j.client.Method != hydra.PrivateKeyJWT {
		if flow, err = j.opts.Hydra.Begin(ctx, j.client); err == nil {
			tokens, err = j.opts.Hydra.Mint(ctx, flow, grant, j.credentials)
		}
	}
	if err != nil {
		return hydraEnd(err)
	}
	j.record.state, j.record.tokens, j.record.identity, j.record.mintedAt = stateMinted, tokens, grant.Subject, j.opts.Now()
	// The way from Hydra's token to the record comes first: without it the record would stay.
	err = j.opts.Store.Put(ctx, chainKey(tokens.RefreshToken), j.key[:], j.opts.Keep)
	if err == nil {
		err = j.save(context.WithoutCancel(ctx), j.opts.Keep)
	}
	if err != nil {
		j.opts.Log.Error("remint: Hydra's tokens could not be stored: they are sent to the application, and cannot be sent again", zap.String("client_id", j.client.ID), zap.Error(err))
	}
	return j.given(ctx, resultReminted)
}

func isTransient(err error) bool {
	var fault *hydra.Error
	return errors.As(err, &fault) && fault.Kind == hydra.Unavailable
}

// given is the end of a request that gets the tokens of the record.
func (j *job) given(ctx context.Context, is result) end {
	if err := j.opts.Store.CountUse(ctx, j.client.ID, j.opts.Now()); err != nil {
		j.opts.Log.Warn("remint: not counted", zap.String("client_id", j.client.ID), zap.Error(err))
	}
	return end{is: is, tokens: j.record.tokens, identity: j.record.identity}
}

// Used is called for each refresh token of Hydra by which a client got new tokens. If it is one
// of a re-mint, the client has its answer: Auth0's successor is forgotten.
func (r *Reminter) Used(ctx context.Context, token secret.String) {
	if err := r.used(ctx, token); err != nil {
		r.opts.Log.Warn("remint: use of a new token not noted: its record stays until it expires", zap.Error(err))
	}
}

func (r *Reminter) used(ctx context.Context, token secret.String) error {
	text, ok, err := r.opts.Store.Get(ctx, chainKey(token))
	if err != nil || !ok || len(text) != len([32]byte{}) {
		return err
	}
	j := &job{Reminter: r, key: [32]byte(text)}
	won, err := r.opts.Store.Claim(ctx, j.key, r.claimFor())
	if err != nil || !won { // a request with the old token is at work: it writes the record
		return err
	}
	defer func() { _ = r.opts.Store.Unclaim(context.WithoutCancel(ctx), j.key) }()
	if err := j.load(ctx); err != nil {
		return err
	}
	if j.record.state == stateMinted {
		if err := j.answered(ctx); err != nil {
			return err
		}
	}
	return r.opts.Store.Delete(ctx, chainKey(token))
}

// answered writes that the client has its tokens. For the rest of Grace, requests that come late
// still get tokens: their own, because the first ones are used. The refresh token stays that long,
// to revoke the chain by: Hydra takes it within its grace period.
func (j *job) answered(ctx context.Context) error {
	left := j.opts.Grace - j.opts.Now().Sub(j.record.mintedAt)
	if left < time.Millisecond {
		return j.opts.Store.Delete(ctx, j.key)
	}
	j.record = record{
		state: stateAnswered, answer: j.record.answer, redeemedAt: j.record.redeemedAt, identity: j.record.identity, mintedAt: j.record.mintedAt,
		tokens: hydra.Tokens{RefreshToken: j.record.tokens.RefreshToken},
	}
	return j.save(ctx, left)
}
