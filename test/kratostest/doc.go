// Package kratostest starts the real Ory Kratos for ferry's tests and for the demo. It
// finds or builds the program, derives a configuration from the shipped
// kratos.yml.example, starts it in its own folder on two free ports, and logs users in as
// an app, a browser and a single-page app do. It reports Kratos' answers and asserts
// nothing.
//
// Every call is bounded by its context and by a limit of its own. The package needs a
// Unix; on Linux, Kratos ends with the process that started it.
package kratostest
