package kratos

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"
)

// keyFinished is where `ferry finish` notes, in metadata_admin.auth0, that it ended the
// pending state of an identity.
const keyFinished = "finished"

// FinishMark is that note.
type FinishMark struct {
	At time.Time `json:"at"`
	// PasswordSHA256 is the digest of the hash that finish set, in hexadecimal digits. The
	// identity's own differs once the person has chosen a password.
	PasswordSHA256 string `json:"password_sha256"`
}

// FinishMark returns the note; false where there is none.
func (r Record) FinishMark() (FinishMark, bool) {
	text, err := json.Marshal(r.auth0()[keyFinished])
	var mark FinishMark
	if err != nil || json.Unmarshal(text, &mark) != nil || mark.PasswordSHA256 == "" {
		return FinishMark{}, false
	}
	return mark, true
}

// Finished reports whether `ferry finish` ended the pending state, and the person has
// chosen no password since: only recovery lets them in.
func (r Record) Finished() bool {
	mark, marked := r.FinishMark()
	return marked && r.HasPassword && hex.EncodeToString(r.PasswordDigest[:]) == mark.PasswordSHA256
}

// FinishedAt is when finish ended the pending state. It reports false where Finished does.
func (r Record) FinishedAt() (time.Time, bool) {
	mark, _ := r.FinishMark()
	return mark.At, r.Finished()
}

// WithFinishMark is a copy of metadata_admin with the note; nil: without it. The identity
// must have metadata_admin.auth0.
func (r Record) WithFinishMark(mark *FinishMark) map[string]any {
	admin, auth0 := maps.Clone(r.MetadataAdmin), maps.Clone(r.auth0())
	delete(auth0, keyFinished)
	if mark != nil {
		auth0[keyFinished] = *mark
	}
	admin["auth0"] = auth0
	return admin
}
