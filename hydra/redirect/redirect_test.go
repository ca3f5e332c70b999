package redirect_test

import (
	"testing"

	"ferry/hydra/redirect"
)

func TestUsable(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{
		"https://app.example.com/cb": true, "com.example.app://cb": true, "http://localhost:3000/cb": true,
		"http://app.localhost/cb": true, "http://127.0.0.1:8080/cb": true, "http://[::1]/cb": true,
		"http://app.example.com/cb": false, "http://localhost.example.com/cb": false, "http://10.0.0.1/cb": false,
		"https://*.example.com/cb": false, "https://app.example.com/cb#x": false, "/cb": false, "": false, "https://[": false,
	} {
		if got := redirect.Usable(uri); got != want {
			t.Errorf("%s: %t, want %t", uri, got, want)
		}
	}
}
