package pithos

import "testing"

// Paths of Swift's accounts, and those that name no account or container, are Swift's.
func TestServes(t *testing.T) {
	for path, want := range map[string]bool{
		"/v1/1b2c/pithos/o": true, "/v1/1b2c": true, "/v1/1b2c/": true, "/v1/AUTH_a/c": false, "/v1/SERVICE_a": false,
		"/v1//c/o": false, "/v1/a//o": false, "/v1///o": false, "/v1.0/AUTH_a": false, "/info": false,
	} {
		if got := Serves(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
