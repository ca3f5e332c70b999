// Package bulk moves users in files. It exports them from Auth0 through an export job,
// imports them into Kratos in two passes (plan the whole file, then write in batches),
// compares both sides, and reports and ends the migration. An interrupted import, export
// or finish continues when it is run again.
//
// It does not verify passwords; that is the hook's job. It does not change credentials of
// existing identities, except that Finish ends the pending state and can restore it.
package bulk
