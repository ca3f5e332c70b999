// Package docker checks the container image without a container engine: it
// reads the Dockerfile, runs its build line here over what .dockerignore leaves
// of the tree, and checks the resulting program. It does not check that
// the base images exist.
package docker
