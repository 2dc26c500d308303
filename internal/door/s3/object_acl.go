package s3

import (
	"context"

	"pithos/internal/access"
)

// objectACL reads the list that a request gives to the object it makes: the writer has full control.
func (c *call) objectACL(_ context.Context) (access.ACL, error) {
	for _, name := range []string{"X-Amz-Grant-Read", "X-Amz-Grant-Write", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp", "X-Amz-Grant-Full-Control"} {
		if c.has(name) {
			return access.ACL{}, fail(NotImplemented, "Grants in headers are not implemented.").with("Header", name)
		}
	}
	if canned := c.h("X-Amz-Acl"); canned != "" && canned != "private" {
		return access.ACL{}, fail(NotImplemented, "This canned access control list is not implemented.").with("Header", "x-amz-acl")
	}
	if c.caller.Canonical == "" {
		return access.ACL{}, nil
	}
	return access.ACL{Grants: []access.Grant{{Canonical: c.caller.Canonical, Permission: access.FullControl}}}, nil
}
