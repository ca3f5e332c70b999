package auth0sim

import "testing"

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	j := newJournal()
	for range journalSize + 3 {
		j.arrive(&Request{})
	}
	requests := j.list()
	if len(requests) != journalSize || requests[0].Seq != 4 || j.count().TokenRequests != journalSize+3 {
		t.Errorf("got %d requests from %d", len(requests), requests[0].Seq)
	}
}
