package kratostest

import "testing"

func TestSees(t *testing.T) {
	t.Parallel()
	for want, login := range map[string]Login{
		"session":                   {Status: 200, SessionID: "x", Token: true},
		"invalid credentials":       {Status: 400, Messages: []int{1010001, 4000006}},
		"unavailable":               {Status: 502, ErrorCode: 502},
		"other: error 500 no hook":  {Status: 500, ErrorCode: 500, ErrorReason: "no hook"},
		"other: messages [4000033]": {Status: 400, Messages: []int{4000033}},
		"other: status 303":         {Status: 303},
	} {
		if got := login.Sees(); got != want {
			t.Errorf("%+v sees %q, want %q", login, got, want)
		}
	}
}
