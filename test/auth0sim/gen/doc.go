// Package gen makes Auth0 tenants of any size out of nothing: the file that a job
// exporting users writes, Auth0's password-hash export, the same tenant as a seed for
// the simulator, an identity schema, and for each line of the first file what
// `ferry import` must answer to it. The same number and seed make the same bytes, and a
// million users take no more memory than a thousand.
//
// What is expected is that of
//
//	ferry import --users users.ndjson --hashes hashes.ndjson --mode auto \
//	    --provider google-oauth2=google
//
// with identity.schema.json on an empty Kratos, users with a second factor skipped and
// conflicts too. The first of these rules that fits a line decides:
//
//  1. A line that is no JSON object with a user_id has failed, unreadable; the second
//     line with a user_id, and every later one, has failed, duplicate_user.
//  2. Who has a second factor is skipped, mfa.
//  3. Who has no way to log in, neither an identity of a database nor one of a provider
//     that is named, is skipped, no_login_method. Where a line has no identities, its
//     user_id tells the one.
//  4. Traits that do not satisfy the schema have failed, invalid; an identity of a
//     database without e-mail address and username has failed, no_identifier.
//  5. An identifier is an e-mail address or a username, without blanks around and in
//     lower case, or google: and the subject. One that several lines have belongs to the
//     first of those that have it verified: email_verified is true, and the user's own
//     provider is a database. Without such a line it belongs to nobody. Who loses an
//     identifier has failed, identifier_twice. Those that rules 2 to 4 have dealt with
//     claim theirs all the same.
//  6. An identity of a database is created_hash where the hash file has one usable and
//     fresh hash for it: auth0| and its alt_id, or its _id, is that of any of the user's
//     identities. Else it is created_pending, because there is none (no_hash); because it
//     was set before last_password_reset, or nobody knows when while there was a reset
//     (stale_hash); or because it is no bcrypt hash as Kratos takes it, or two are the
//     newest (unusable_hash). Without a database it is created_social.
//
// A file never holds what these rules leave open: users with one user_id have no
// unverified identifier in common, only e-mail addresses are ever verified, and nobody
// claims a google account that is linked in a line with an unverified address.
package gen
