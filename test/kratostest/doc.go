// Package kratostest boots the real Ory Kratos for ferry's tests and for the
// demo: it finds or builds the program, derives a configuration from the
// kratos.yml.example that ferry ships, starts it on a folder and two free ports
// of its own, and logs people in as an app, a browser and a single-page app do.
//
// Nothing here decides what is right: it reports what Kratos answered. Every
// call is bounded by its context and by a limit of its own. The package needs a
// Unix; on Linux, Kratos dies with the process that started it, however that
// one ends.
package kratostest
