// Package gen generates Auth0 tenants of any size: the file of a users export, Auth0's
// password-hash export, a seed for the simulator, an identity schema, and the expected
// result of `ferry import` for each line. Equal numbers and seeds give equal bytes, and
// memory does not grow with the number of users.
//
// The expected results are those of
//
//	ferry import --users users.ndjson --hashes hashes.ndjson --mode auto \
//	    --provider google-oauth2=google
//
// with identity.schema.json on an empty Kratos, skipping users with a second factor and
// conflicts. The first matching rule decides:
//
//  1. A line that is not a JSON object with a user_id: failed, unreadable. Each further
//     line with the same user_id: failed, duplicate_user.
//  2. A user with a second factor: skipped, mfa.
//  3. A user without an identity of a database or of a named provider: skipped,
//     no_login_method. Without identities in the line, its user_id is the only one.
//  4. Traits that do not satisfy the schema: failed, invalid. An identity of a database
//     without e-mail address and username: failed, no_identifier.
//  5. An identifier is an e-mail address or a username, trimmed and in lower case, or
//     google: and the subject. If several lines have it, it belongs to the first one with
//     email_verified and a database as the user's own provider, else to none. A line that
//     loses an identifier: failed, identifier_twice. Lines decided by rules 2 to 4 take
//     part in this.
//  6. An identity of a database is created_hash if the hash file has one usable and fresh
//     hash whose auth0| and alt_id, or _id, is one of the user's identities. Otherwise it
//     is created_pending: without a hash (no_hash); if it was set before
//     last_password_reset, or has no date although there was a reset (stale_hash); or if
//     Kratos does not accept it, or two are the newest (unusable_hash). Without a database
//     it is created_social.
//
// A file never contains cases that these rules do not decide: lines with the same user_id
// share no unverified identifier, only e-mail addresses are verified, and a google account
// linked in a line with an unverified address occurs once.
package gen
