package auth0sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FaultName names one way to misbehave.
type FaultName string

// FaultKind is the part of an exchange that a fault breaks.
type FaultKind string

// The kinds of faults.
const (
	// KindTransport breaks the connection or its timing.
	KindTransport FaultKind = "transport"
	// KindAnswer answers something else, without looking at the password.
	KindAnswer FaultKind = "answer"
	// KindBody damages the answer that was going to be sent, on any path.
	KindBody FaultKind = "body"
	// KindToken changes a successful token answer, not a refusal.
	KindToken FaultKind = "token"
	// KindIDToken forges the ID token of a successful token answer.
	KindIDToken FaultKind = "id_token"
	// KindJWKS damages the published keys.
	KindJWKS FaultKind = "jwks"
	// KindExport spoils a job that exports users, or its file.
	KindExport FaultKind = "export"
)

// Faults of the transport.
const (
	FaultLatency            FaultName = "latency"              // waits Delay, or until it is cleared, then answers
	FaultHang               FaultName = "hang"                 // does not answer until the client leaves, or Delay (30 s)
	FaultSlowBytes          FaultName = "slow_bytes"           // answers one byte at a time, Delay (10 ms) apart
	FaultResetBeforeRequest FaultName = "reset_before_request" // resets the connection without reading the body
	FaultResetAfterRequest  FaultName = "reset_after_request"  // does the work, then resets the connection
	FaultResetInBody        FaultName = "reset_in_body"        // resets the connection half way through the answer
	FaultCloseAfterRequest  FaultName = "close_after_request"  // does the work, then closes without a byte
)

// Faults that answer something else.
const (
	FaultAnswer          FaultName = "answer"            // Answer's row, or Status, Headers and Body
	FaultUnavailable     FaultName = "unavailable"       // 503 temporarily_unavailable
	FaultInternalError   FaultName = "internal_error"    // 500, plain text
	FaultGlobalLimit     FaultName = "global_limit"      // 500 access_denied, though it is a rate limit
	FaultTooManyRequests FaultName = "too_many_requests" // 429 too_many_requests
	FaultHTMLPage        FaultName = "html_page"         // a gateway's HTML page, Status 502
	FaultRedirect301     FaultName = "redirect_301"      // to Value, or to [PathRedirected], which works for a client that follows
	FaultRedirect302     FaultName = "redirect_302"
	FaultRedirect303     FaultName = "redirect_303"
	FaultRedirect307     FaultName = "redirect_307"
	FaultRedirect308     FaultName = "redirect_308"
)

// Faults of the body of any answer.
const (
	FaultEmptyBody       FaultName = "empty_body"
	FaultCutJSON         FaultName = "cut_json"          // the first half only, with a fitting length
	FaultOversizedBody   FaultName = "oversized_body"    // valid JSON, Size bytes (8 MiB) larger
	FaultDuplicateKeys   FaultName = "duplicate_keys"    // every key again, with the value "forged"
	FaultCaseVariantKeys FaultName = "case_variant_keys" // every key again in upper case, with the value "forged"
	FaultWrongTypes      FaultName = "wrong_types"       // every value of another JSON type
	FaultTrailingData    FaultName = "trailing_data"     // a second JSON value after the first
	FaultNotAnObject     FaultName = "not_an_object"     // the answer inside a JSON array
	FaultWrongMediaType  FaultName = "wrong_media_type"  // the same bytes as text/html
	FaultNoMediaType     FaultName = "no_media_type"
)

// Faults of a successful token answer.
const (
	FaultErrorWith200       FaultName = "error_with_200" // 200, the tokens, and an error key too
	FaultEmptyAccessToken   FaultName = "empty_access_token"
	FaultMissingAccessToken FaultName = "missing_access_token"
	FaultMissingIDToken     FaultName = "missing_id_token"
	FaultEmptyIDToken       FaultName = "empty_id_token"
)

// Faults of the ID token. All but those that say otherwise are signed properly.
const (
	FaultIDTokenWrongIssuer       FaultName = "id_token_wrong_issuer"   // Value, or https://evil.test/
	FaultIDTokenNoIssuer          FaultName = "id_token_no_issuer"      //
	FaultIDTokenIssuerNoSlash     FaultName = "id_token_issuer_slash"   // the issuer without its trailing slash
	FaultIDTokenWrongAudience     FaultName = "id_token_wrong_audience" // Value, or another client
	FaultIDTokenNoAudience        FaultName = "id_token_no_audience"
	FaultIDTokenExtraAudience     FaultName = "id_token_extra_audience" // ours and another, no azp
	FaultIDTokenWrongAZP          FaultName = "id_token_wrong_azp"      // Value, or another client
	FaultIDTokenExpired           FaultName = "id_token_expired"        // an hour ago, or Delay ago
	FaultIDTokenNoExpiry          FaultName = "id_token_no_exp"
	FaultIDTokenExpiryText        FaultName = "id_token_exp_text" // exp is a string
	FaultIDTokenNoIssuedAt        FaultName = "id_token_no_iat"
	FaultIDTokenFuture            FaultName = "id_token_future" // iat and nbf in an hour, or in Delay
	FaultIDTokenNoSubject         FaultName = "id_token_no_sub"
	FaultIDTokenEmptySubject      FaultName = "id_token_empty_sub"
	FaultIDTokenOtherSubject      FaultName = "id_token_other_sub"      // Value, or another user of the tenant
	FaultIDTokenNumberSubject     FaultName = "id_token_number_sub"     // sub is a number
	FaultIDTokenWrongSignature    FaultName = "id_token_bad_signature"  // one bit of it is wrong
	FaultIDTokenNoSignature       FaultName = "id_token_no_signature"   // RS256 header, empty signature
	FaultIDTokenForeignKey        FaultName = "id_token_foreign_key"    // another key, under the published id
	FaultIDTokenEmbeddedKey       FaultName = "id_token_embedded_key"   // another key, brought along as jwk in the header
	FaultIDTokenUnknownKeyID      FaultName = "id_token_unknown_kid"    //
	FaultIDTokenNoKeyID           FaultName = "id_token_no_kid"         //
	FaultIDTokenAlgNone           FaultName = "id_token_alg_none"       // unsigned
	FaultIDTokenHS256PublicKey    FaultName = "id_token_hs256_pubkey"   // HMAC, keyed with the public key's PEM
	FaultIDTokenHS256Secret       FaultName = "id_token_hs256_secret"   // HMAC, keyed with the client secret
	FaultIDTokenRS384             FaultName = "id_token_rs384"          //
	FaultIDTokenPS256             FaultName = "id_token_ps256"          //
	FaultIDTokenCut               FaultName = "id_token_cut"            // the first half
	FaultIDTokenNotJWT            FaultName = "id_token_not_jwt"        //
	FaultIDTokenDuplicateClaims   FaultName = "id_token_duplicate_sub"  // sub twice, the second another user's
	FaultIDTokenCaseVariantClaims FaultName = "id_token_case_variant"   // also Sub, of another user
	FaultIDTokenPayloadNotJSON    FaultName = "id_token_bad_payload"    //
	FaultIDTokenCritical          FaultName = "id_token_critical"       // an unknown crit header
	FaultIDTokenOtherEmail        FaultName = "id_token_other_email"    // Value, or another address, as verified
	FaultIDTokenEmailUnverified   FaultName = "id_token_email_not_true" // email_verified is the text "true"
)

// Faults of the published keys.
const (
	FaultJWKSEmpty    FaultName = "jwks_empty"     // no keys
	FaultJWKSWrongKey FaultName = "jwks_wrong_key" // another key under the right id
	FaultJWKSNoKeyID  FaultName = "jwks_no_kid"
	FaultJWKSEncUse   FaultName = "jwks_enc_use" // keys marked for encryption
)

// Faults of exports. The first two are about GET /api/v2/jobs/{id}, the others
// about the file.
const (
	FaultExportFailed      FaultName = "export_failed"       // the job has failed, for good; Value, or a made-up reason
	FaultExportStuck       FaultName = "export_stuck"        // processing, and gets no further
	FaultExportCut         FaultName = "export_cut"          // the first half of the gzip file, with a fitting length
	FaultExportCutLine     FaultName = "export_cut_line"     // a sound gzip file that ends within its last line
	FaultExportBadChecksum FaultName = "export_bad_checksum" // all bytes of the gzip file but its checksum
	FaultExportNotGzip     FaultName = "export_not_gzip"     // the lines, not compressed
)

// FaultsOf lists the faults of a kind, in the order of this package.
func FaultsOf(kind FaultKind) []FaultName {
	switch kind {
	case KindTransport:
		return []FaultName{
			FaultLatency, FaultHang, FaultSlowBytes, FaultResetBeforeRequest,
			FaultResetAfterRequest, FaultResetInBody, FaultCloseAfterRequest,
		}
	case KindAnswer:
		return []FaultName{
			FaultAnswer, FaultUnavailable, FaultInternalError, FaultGlobalLimit, FaultTooManyRequests,
			FaultHTMLPage, FaultRedirect301, FaultRedirect302, FaultRedirect303, FaultRedirect307, FaultRedirect308,
		}
	case KindBody:
		return []FaultName{
			FaultEmptyBody, FaultCutJSON, FaultOversizedBody, FaultDuplicateKeys, FaultCaseVariantKeys,
			FaultWrongTypes, FaultTrailingData, FaultNotAnObject, FaultWrongMediaType, FaultNoMediaType,
		}
	case KindToken:
		return []FaultName{
			FaultErrorWith200, FaultEmptyAccessToken, FaultMissingAccessToken,
			FaultMissingIDToken, FaultEmptyIDToken,
		}
	case KindIDToken:
		return idTokenFaults()
	case KindJWKS:
		return []FaultName{FaultJWKSEmpty, FaultJWKSWrongKey, FaultJWKSNoKeyID, FaultJWKSEncUse}
	case KindExport:
		return append(exportJobFaults(), FaultExportCut, FaultExportCutLine, FaultExportBadChecksum, FaultExportNotGzip)
	}
	return nil
}

func exportJobFaults() []FaultName { return []FaultName{FaultExportFailed, FaultExportStuck} }

func idTokenFaults() []FaultName {
	return []FaultName{
		FaultIDTokenWrongIssuer, FaultIDTokenNoIssuer, FaultIDTokenIssuerNoSlash,
		FaultIDTokenWrongAudience, FaultIDTokenNoAudience, FaultIDTokenExtraAudience, FaultIDTokenWrongAZP,
		FaultIDTokenExpired, FaultIDTokenNoExpiry, FaultIDTokenExpiryText, FaultIDTokenNoIssuedAt, FaultIDTokenFuture,
		FaultIDTokenNoSubject, FaultIDTokenEmptySubject, FaultIDTokenOtherSubject, FaultIDTokenNumberSubject,
		FaultIDTokenWrongSignature, FaultIDTokenNoSignature, FaultIDTokenForeignKey, FaultIDTokenEmbeddedKey,
		FaultIDTokenUnknownKeyID, FaultIDTokenNoKeyID, FaultIDTokenAlgNone, FaultIDTokenHS256PublicKey,
		FaultIDTokenHS256Secret, FaultIDTokenRS384, FaultIDTokenPS256, FaultIDTokenCut, FaultIDTokenNotJWT,
		FaultIDTokenDuplicateClaims, FaultIDTokenCaseVariantClaims, FaultIDTokenPayloadNotJSON,
		FaultIDTokenCritical, FaultIDTokenOtherEmail, FaultIDTokenEmailUnverified,
	}
}

// Faults lists every fault that a login can meet, so that a test can walk them
// all; FaultsOf([KindExport]) lists the others.
func Faults() []FaultName {
	return slices.Concat(FaultsOf(KindTransport), FaultsOf(KindAnswer), FaultsOf(KindBody),
		FaultsOf(KindToken), FaultsOf(KindIDToken), FaultsOf(KindJWKS))
}

func allFaults() []FaultName { return append(Faults(), FaultsOf(KindExport)...) }

// AnyPath makes a fault hold for every path.
const AnyPath = "*"

// maxFaultDelay keeps a delay within the server's write timeout.
const maxFaultDelay = 4 * time.Minute

// Fault is one fault and the requests it applies to. A matching request counts when it
// arrives, whether or not its answer can show the fault. Several faults may apply at once:
// latency, and then a cut body.
type Fault struct {
	Name FaultName `json:"name"`
	// Path it holds for; empty is the path the fault is about (/oauth/token, or
	// the JWKS, the jobs or the exported files for their own faults), [AnyPath]
	// is every one, and one with a slash at its end, such as [PathUsers], is all
	// below it.
	Path string `json:"path,omitempty"`
	// User narrows it to a user id, or to a username as submitted (without
	// regard to case); empty is everybody.
	User string `json:"user,omitempty"`
	// Grant narrows it to a grant type at the token endpoint; empty is every one.
	Grant string `json:"grant,omitempty"`
	// Times is how many requests it holds for; 0 is until cleared.
	Times int `json:"times,omitempty"`

	// Delay is for latency, hang, slow bytes and the faults about time. In
	// JSON it is written like "1.5s".
	Delay time.Duration `json:"-"`
	// Answer is the row that [FaultAnswer] sends; empty sends Status, Headers
	// and Body as they are.
	Answer AnswerName `json:"answer,omitempty"`
	// Status is for [FaultAnswer] and [FaultHTMLPage].
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	// Size is for [FaultOversizedBody], in bytes.
	Size int `json:"size,omitempty"`
	// Value is the value that a forging fault inserts, if it takes one.
	Value string `json:"value,omitempty"`

	ended <-chan struct{} // for a request that it holds for: closed when it is cleared
}

// faultJSON is a fault on the wire, with the delay in words.
type faultJSON struct {
	faultFields

	Delay string `json:"delay,omitempty"`
}

type faultFields Fault

// MarshalJSON writes the fault with its delay as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	wire := faultJSON{faultFields: faultFields(f)}
	if f.Delay != 0 {
		wire.Delay = f.Delay.String()
	}
	raw, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("marshal fault: %w", err)
	}
	return raw, nil
}

// UnmarshalJSON reads what [Fault.MarshalJSON] writes, and refuses unknown keys.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	var wire faultJSON
	if err := decodeStrict(strings.NewReader(string(raw)), &wire); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	*f = Fault(wire.faultFields)
	if wire.Delay == "" {
		return nil
	}
	delay, err := time.ParseDuration(wire.Delay)
	if err != nil {
		return fmt.Errorf("fault: delay: %w", err)
	}
	f.Delay = delay
	return nil
}

// check refuses a fault that could have no effect.
func (f Fault) check() error {
	if !slices.Contains(allFaults(), f.Name) {
		return fmt.Errorf("unknown fault %q", f.Name)
	}
	if f.Times < 0 || f.Size < 0 {
		return fmt.Errorf("fault %s: times and size cannot be negative", f.Name)
	}
	if f.Delay < 0 || f.Delay > maxFaultDelay {
		return fmt.Errorf("fault %s: delay %s: want 0 to %s", f.Name, f.Delay, maxFaultDelay)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("fault %s: status %d: want 200 to 599", f.Name, f.Status)
	}
	if f.Name != FaultAnswer {
		return nil
	}
	if f.Answer == "" && f.Status == 0 {
		return fmt.Errorf("fault %s: want answer or status", f.Name)
	}
	if _, ok := lookupAnswer(f.Answer, nil); f.Answer != "" && !ok {
		return fmt.Errorf("fault %s: unknown answer %q", f.Name, f.Answer)
	}
	return nil
}
