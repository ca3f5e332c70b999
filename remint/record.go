package remint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"ferry/hydra"
	"ferry/secret"
	"ferry/upstream"
)

// progress says how far a token got; see the package comment.
type progress string

const (
	stateNew       progress = ""
	stateRedeeming progress = "redeeming"
	stateRedeemed  progress = "redeemed"
	stateMinted    progress = "minted"
	stateAnswered  progress = "answered"
)

// record is what is kept of a token.
type record struct {
	state progress
	// token is the one to redeem next: the token itself, or its last successor.
	token secret.String
	// answer is Auth0's last answer, and redeemedAt when it came; from redeemed on.
	answer     upstream.Redeemed
	redeemedAt time.Time
	// tokens are Hydra's, for an identity, and mintedAt when they came; in minted. In the other states
	// only the refresh token is left, by which the last chain can be revoked.
	tokens   hydra.Tokens
	identity string
	mintedAt time.Time
}

// recordJSON is the record as it is sealed.
type recordJSON struct {
	State      progress  `json:"state"`
	Token      string    `json:"token,omitempty"`
	Answer     string    `json:"answer,omitempty"`
	RedeemedAt time.Time `json:"redeemed_at,omitzero"`
	Access     string    `json:"access,omitempty"`
	Refresh    string    `json:"refresh,omitempty"`
	ID         string    `json:"id,omitempty"`
	ExpiresIn  int64     `json:"expires_in,omitempty"`
	Scope      string    `json:"scope,omitempty"`
	Identity   string    `json:"identity,omitempty"`
	MintedAt   time.Time `json:"minted_at,omitzero"`
}

// encode returns the record to be sealed.
func (r record) encode() ([]byte, error) {
	return json.Marshal(recordJSON{
		State: r.state, Token: r.token.Reveal(), Answer: r.answer.Text().Reveal(), RedeemedAt: r.redeemedAt,
		Access: r.tokens.AccessToken.Reveal(), Refresh: r.tokens.RefreshToken.Reveal(), ID: r.tokens.IDToken.Reveal(),
		ExpiresIn: r.tokens.ExpiresIn, Scope: r.tokens.Scope, Identity: r.identity, MintedAt: r.mintedAt,
	})
}

var errRecord = errors.New("remint: record cannot be read")

// decode reads what encode returned. The errors of package json quote the text, so they are not
// used.
func decode(text []byte) (record, error) {
	var j recordJSON
	if json.Unmarshal(text, &j) != nil {
		return record{}, errRecord
	}
	r := record{
		state: j.State, token: secret.New(j.Token), redeemedAt: j.RedeemedAt, identity: j.Identity, mintedAt: j.MintedAt,
		tokens: hydra.Tokens{
			AccessToken: secret.New(j.Access), RefreshToken: secret.New(j.Refresh), IDToken: secret.New(j.ID), ExpiresIn: j.ExpiresIn, Scope: j.Scope,
		},
	}
	switch j.State {
	case stateRedeeming:
		return r, nil
	case stateRedeemed, stateMinted, stateAnswered:
		var err error
		if r.answer, err = upstream.ReadRedeemed(secret.New(j.Answer)); err != nil {
			return record{}, errRecord
		}
		return r, nil
	case stateNew:
	}
	return record{}, errRecord
}

// keyOf is the key of the record of a client's token. The store hashes it with its key.
func keyOf(clientID string, token secret.String) [32]byte {
	return hashOf("token", clientID, token.Reveal())
}

// chainKey is the key under which the record is found by Hydra's refresh token.
func chainKey(token secret.String) [32]byte { return hashOf("chain", token.Reveal()) }

// hashOf hashes texts, each with its length before it.
func hashOf(texts ...string) (sum [32]byte) {
	h := sha256.New()
	for _, text := range texts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	return [32]byte(h.Sum(nil))
}
