// Package browser has a test that takes Chromium through the gateway: people log in, recover
// their accounts and take the bridge, in HTML forms with cookies and CSRF tokens. The pages are
// a small self-service UI of the package. The test has the build tag browser, because Chromium
// is large: run it with `make browser`. With FERRY_SCREENSHOTS set to a directory, it writes a
// picture of each page there.
package browser
