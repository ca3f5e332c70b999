package inputfile

import "strings"

// tenantNote begins the comment (RFC 1952, 2.3.1) of a gzip file of users.
const tenantNote = "Auth0 tenant "

// TenantComment returns the comment with which a gzip file names the tenant that its users are
// of, by the canonical domain of the tenant.
func TenantComment(domain string) string { return tenantNote + domain }

// IsExport reports whether `ferry export` wrote the comment, also where it did not know the
// domain. Such a file has every field of the users that have it.
func IsExport(comment string) bool { return strings.HasPrefix(comment, tenantNote) }

// TenantOf returns the domain in the comment of a gzip file, or "".
func TenantOf(comment string) string {
	domain, found := strings.CutPrefix(comment, tenantNote)
	if !found {
		return ""
	}
	return domain
}
