package provision

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/identifier"
	"ferry/mapping"
	"ferry/provenance"
	"ferry/upstream"
	"ferry/wire"
)

// SignUp is an identity that Kratos has checked, and is about to store.
type SignUp struct {
	SchemaID               string
	Traits, MetadataPublic map[string]any
	// Addresses are the verifiable ones.
	Addresses []mapping.CurrentAddress
	// Provider is the id of the OIDC provider of a social sign-up, if it is known.
	Provider string
	// Subject is the Auth0 user id that the login at the provider would have at Auth0; empty:
	// the sign-up is not social, or Kratos' mapper does not tell.
	Subject string
}

// Answer is what becomes of a sign-up.
type Answer struct {
	// Reason is one word for logs, such as ReasonNoUser, EnsuredNow or ReasonBound.
	Reason string
	// UserID is the Auth0 user; empty: none.
	UserID string
	// Identity is what Kratos is to store instead; nil: the sign-up as it is.
	Identity *mapping.New
	// ExternalID is set with Identity, if Kratos takes it.
	ExternalID string
	// Inactive is set with Identity if the user is blocked at Auth0.
	Inactive bool
}

// The reasons of answers that are neither those of a creation nor those of Ensure.
const (
	// ReasonBound: the sign-up is bound to the Auth0 user.
	ReasonBound = "bound"
	// ReasonBridge: the user signs up with a login at the tenant itself. Kratos' mapper binds.
	ReasonBridge = "bridge"
)

const (
	// maxEmails is how many addresses of one sign-up are looked up, and maxHandles how many
	// identifiers are looked for in Kratos.
	maxEmails  = 2
	maxHandles = 8
)

// SignUps finds out whether people who sign up at Kratos are users of Auth0.
//
//	Kratos has one of the identifiers: nothing, Kratos says so itself
//	the user at Auth0 who would get the address in an import is the one of the social login,
//	and has no password there: the new identity is bound to that user
//	it is another one, or one with a password: create the identity, as an import does
//	no user has the address, but the social login is that of a user: bind
//
// It is safe for concurrent use.
type SignUps struct {
	p      *Provisioner
	budget *Budget
}

// NewSignUps makes SignUps. The Provisioner must have a Directory.
func NewSignUps(p *Provisioner, budget *Budget) (*SignUps, error) {
	if !p.CanLookUp() {
		return nil, errors.New("provision: sign-ups need the Management API")
	}
	return &SignUps{p: p, budget: budget}, nil
}

// SignUp returns what becomes of a sign-up. An error says nothing about the user: Kratos or
// Auth0 did not answer.
func (s *SignUps) SignUp(ctx context.Context, up SignUp) (Answer, error) {
	opts, err := s.p.planned(ctx, DoorRegistration)
	if err != nil {
		return Answer{}, err
	}
	if up.Subject == "" && up.Provider != "" && up.Provider == opts.Bridge {
		return Answer{Reason: ReasonBridge}, nil
	}
	handles := handlesOf(opts, up)
	for _, handle := range handles {
		if known, err := s.p.opts.Identities.Knows(ctx, handle); known || err != nil {
			return Answer{Reason: ReasonKnown}, err
		}
	}
	if err := s.p.Ready(ctx); err != nil {
		return Answer{}, err
	}
	emails := s.emails(ctx, handles)
	switch {
	case len(emails) == 0 && up.Subject == "" && slices.ContainsFunc(handles, isEmail):
		return Answer{Reason: ReasonNoUser}, nil
	case len(emails) == 0 && up.Subject == "":
		return Answer{Reason: EnsuredNothing}, nil
	case !s.budget.Allow():
		return Answer{Reason: EnsureLimited}, nil
	}
	for _, email := range emails {
		if answer, decided, err := s.byEmail(ctx, opts, up, email); decided || err != nil {
			return answer, err
		}
	}
	if up.Subject == "" {
		return Answer{Reason: ReasonNoUser}, nil
	}
	return s.bySubject(ctx, opts, up)
}

// handlesOf returns the identifiers and addresses of a sign-up, normalized.
func handlesOf(opts plan.Options, up SignUp) []string {
	var handles []string
	add := func(value string) {
		if value = identifier.Normalize(value); value != "" && !slices.Contains(handles, value) && len(handles) < maxHandles {
			handles = append(handles, value)
		}
	}
	if up.SchemaID == opts.SchemaID {
		for _, handle := range opts.Schema.Handles(up.Traits) {
			add(handle.Value)
		}
	}
	for _, address := range up.Addresses {
		add(address.Value)
	}
	return handles
}

func isEmail(handle string) bool {
	return strings.Contains(handle, "@") && len(handle) <= wire.MaxEmailBytes
}

// emails returns the addresses to look up: those of which it is not remembered that Auth0 has
// no user with them.
func (s *SignUps) emails(ctx context.Context, handles []string) []string {
	var emails []string
	for _, handle := range handles {
		if isEmail(handle) && len(emails) < maxEmails && !s.budget.NoUser(ctx, handle) {
			emails = append(emails, handle)
		}
	}
	return emails
}

// byEmail decides by the users who have the address. decided is false if there are none.
func (s *SignUps) byEmail(ctx context.Context, opts plan.Options, up SignUp, email string) (answer Answer, decided bool, err error) {
	users, err := s.p.opts.Directory.LookUpEmail(ctx, email)
	if err != nil {
		return Answer{}, false, err
	}
	if len(users) == 0 {
		if err := s.budget.RememberNoUser(ctx, email); err != nil {
			s.p.opts.Log.Warn("sign-up: result not remembered", zap.Error(err))
		}
		return Answer{}, false, nil
	}
	owner, owns := ownerOf(users, up.Subject)
	if owns && !owner.profile.HasPassword() && (len(users) == 1 || verifies(opts.Rules, owner.profile, email)) {
		answer, err = s.bind(ctx, opts, up, owner)
		return answer, true, err
	}
	user, refused, err := s.p.choose(ctx, DoorRegistration, users, email)
	if user == nil || err != nil {
		return Answer{Reason: refused.Reason, UserID: refused.UserID}, true, err
	}
	result, err := s.p.once(ctx, "s "+email, func(ctx context.Context) (Result, error) {
		return s.p.create(ctx, DoorRegistration, user, email)
	})
	if result.Created {
		result.Reason = EnsuredNow
	}
	return Answer{Reason: result.Reason, UserID: result.UserID}, true, err
}

// found is a user object, read.
type found struct {
	user    []byte
	profile mapping.Profile
}

// ownerOf returns the user who has the Auth0 user id, of the user or of a linked account.
func ownerOf(users [][]byte, subject string) (found, bool) {
	for _, user := range users {
		profile, err := mapping.FromUser(user)
		if err == nil && subject != "" && slices.Contains(profile.UserIDs, subject) {
			return found{user, profile}, true
		}
	}
	return found{}, false
}

// bySubject decides by the user of a social login whose address no user at Auth0 has.
func (s *SignUps) bySubject(ctx context.Context, opts plan.Options, up SignUp) (Answer, error) {
	user, err := s.p.opts.Directory.LookUpUser(ctx, up.Subject)
	var fault *upstream.ManagementError
	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return Answer{Reason: ReasonNoUser}, nil
	case err != nil:
		return Answer{}, err
	}
	owner, owns := ownerOf([][]byte{user}, up.Subject)
	if !owns {
		return Answer{Reason: ReasonNoUser}, nil
	}
	twin, err := s.p.hasVerifiedTwin(ctx, user)
	if err != nil || twin {
		return Answer{Reason: ReasonUnverifiedTwin, UserID: owner.profile.UserID}, err
	}
	return s.bind(ctx, opts, up, owner)
}

// bind returns the sign-up with the binding and the profile of a user, unless an import would
// refuse the user for more than the lack of a login, or the user is in the register.
func (s *SignUps) bind(ctx context.Context, opts plan.Options, up SignUp, owner found) (Answer, error) {
	user, profile := owner.user, owner.profile
	answer := Answer{UserID: profile.UserID}
	row, err := opts.One(user)
	if err != nil {
		return Answer{}, err
	}
	if word := row.Reason.Reason; word == results.ReasonMFA || !row.Creates() && word != results.ReasonNoLogin {
		answer.Reason = reasonOf(row)
		return answer, nil
	}
	before, err := s.p.before(ctx, user)
	if err != nil {
		return Answer{}, err
	}
	if before {
		answer.Reason = ReasonElsewhere
		return answer, nil
	}
	mapped, err := opts.Mapper.Map(profile)
	if err != nil {
		return Answer{}, err
	}
	schema := opts.Schema
	if up.SchemaID != opts.SchemaID {
		schema = nil
	}
	current := mapping.Current{Traits: up.Traits, MetadataPublic: up.MetadataPublic, Addresses: up.Addresses}
	merged, err := mapping.MergeNew(schema, current, profile, mapped, opts.Rules, provenance.Content{Ferry: s.p.opts.Version})
	if err != nil {
		return Answer{}, err
	}
	answer.Reason, answer.Identity, answer.Inactive = ReasonBound, &merged, profile.Blocked
	if opts.ExternalID {
		answer.ExternalID = profile.UserID
	}
	return answer, nil
}
