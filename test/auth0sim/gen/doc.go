// Package gen generates Auth0 tenants of any size: the file of a users export, Auth0's
// password-hash export, a seed for the simulator, an identity schema, and the expected
// result of `ferry import` for each line. Equal numbers and seeds give equal bytes, and
// memory does not grow with the number of users. README.md has the rules of the expected
// results. A file never contains cases that these rules do not decide.
package gen
