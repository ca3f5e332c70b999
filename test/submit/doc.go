// Package submit has what the tests of ferry's reader of submissions need: a generator of
// requests, most of them unusual, and a model of how Kratos reads them, which uses the
// libraries that Kratos uses. The tests of this package compare the reader with the real
// Kratos.
package submit
