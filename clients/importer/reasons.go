package importer

import "ferry/clients"

// OutcomeReason is a reason for an outcome, with what it means, for the documentation.
type OutcomeReason struct {
	clients.Explained

	Outcome Outcome
}

// OutcomeReasons are all reasons that a result can have.
func OutcomeReasons() []OutcomeReason {
	all := []OutcomeReason{{clients.Explained{Reason: clients.ReasonGlobal, Meaning: "It is the application of the tenant itself."}, Skipped}}
	for _, explained := range clients.RefusalReasons() {
		all = append(all, OutcomeReason{explained, Refused})
	}
	for _, more := range []struct {
		reason  clients.Reason
		meaning string
		outcome Outcome
	}{
		{ReasonExists, "Hydra has a client with this id that ferry did not make. `--overwrite` takes it over.", Refused},
		{ReasonChanged, "The fields in `detail` have changed at Auth0 and at Hydra since the last import. `--overwrite` takes Auth0's values.", Refused},
		{ReasonOtherSecret, "The client has another secret than the application: it was rotated at one of them. `--overwrite` takes Auth0's.", Refused},
		{ReasonHydra, "Hydra refuses the client. `detail` has what it says.", Failed},
		{ReasonNotAsSent, "Hydra did not store the fields in `detail` as ferry sent them. The write was undone.", Failed},
		{ReasonCredentials, "Hydra refuses the credentials with which ferry wrote the client. The write was undone.", Failed},
		{ReasonUnavailable, "Hydra did not answer, and the run ended. Run the same command again.", Failed},
	} {
		all = append(all, OutcomeReason{clients.Explained{Reason: more.reason, Meaning: more.meaning}, more.outcome})
	}
	return all
}
