package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// checkMemory says by what ferry knows the users whom Kratos had under another identifier, or
// had and deleted.
func (e *doctor) checkMemory(ctx context.Context) Check {
	on, check := e.register(ctx)
	if check.Status != OK {
		return check
	}
	var off []string
	can, known := e.abilities(ctx)
	switch {
	case known && can.ExternalIDs:
		on = append(on, "external_id of the identities")
	case known:
		off = append(off, "external_id, which this Kratos does not have")
	}
	if e.Settings.WriteBack {
		on = append(on, "app_metadata.ferry at Auth0")
	} else {
		off = append(off, "app_metadata.ferry at Auth0 (FERRY_WRITE_BACK)")
	}
	detail := "no user is created twice, or again after a deletion, by " + strings.Join(on, ", ")
	if len(off) > 0 {
		detail += "; off: " + strings.Join(off, ", ")
	}
	detail += "; not covered: users who were deleted before the gateway first ran and have no app_metadata.ferry; users who were imported without external_id since ferry last read Kratos and have another address there by now"
	if e.Register == nil && e.Settings.Gateway.DataDir == "" {
		return warn("set FERRY_DATA_DIR to a directory that stays, or FERRY_STATE_URL to a Redis", "%s; users who are deleted at Kratos before a restart of ferry: the users register is in memory", detail)
	}
	return ok("%s", detail)
}

// register checks where the users register is. The check is not OK if ferry cannot use it.
func (e *doctor) register(ctx context.Context) (on []string, check Check) {
	dir := e.Settings.Gateway.DataDir
	switch {
	case e.Register != nil:
		complete, err := e.Register(ctx)
		const consequence = "until then no user is created, and logins of users whom Kratos does not have are an outage"
		if err != nil {
			return nil, fail("see the check state; then run doctor again", "the users register in Redis cannot be read: %s", consequence)
		}
		if !complete {
			return nil, warn("start `ferry serve`; its log says if Kratos cannot be read", "the users register in Redis is not complete: ferry has not read all identities yet; %s", consequence)
		}
		return []string{"the users register in Redis"}, ok("")
	case !e.Settings.StateInMemory:
		return nil, skipped("FERRY_STATE_URL or FERRY_STATE_KEY is not valid")
	case dir == "":
		return []string{"the users register in memory"}, ok("")
	case !writable(dir):
		return nil, fail("create the directory for the user that ferry runs as: install -d -m 700 -o USER DIR; or name another one",
			"FERRY_DATA_DIR %s is not writable for this user: serve does not start", shortened(dir))
	}
	return []string{"the users register in FERRY_DATA_DIR"}, ok("")
}

// writable reports whether files can be made in a directory, or the directory itself if it is
// missing.
func writable(dir string) bool {
	for {
		about, err := os.Stat(dir)
		parent := filepath.Dir(dir)
		switch {
		case err == nil && !about.IsDir():
			return false
		case err == nil:
			probe, err := os.CreateTemp(dir, ".ferry-doctor-*")
			if err != nil {
				return false
			}
			return probe.Close() == nil && os.Remove(probe.Name()) == nil
		case !os.IsNotExist(err) || parent == dir:
			return false
		}
		dir = parent
	}
}
