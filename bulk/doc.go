// Package bulk moves users by the file: it has Auth0 export them, imports them into
// Kratos, and compares the two. Each of these can be broken off and gone on with.
package bulk
