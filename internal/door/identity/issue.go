package identity

import (
	"context"

	"pithos/internal/naming"
	"pithos/internal/store/key"
)

// Issue checks a user ("account:name") and their password, or the secret of one of their keys, and makes a token, for the doors that have a sign-in of their
// own. Errors: those of backend.SignIn.
func (d *Door) Issue(ctx context.Context, user, secret string) (token string, who key.User, err error) {
	found, p, err := d.b.SignIn(ctx, naming.UserID(user), secret)
	if err != nil {
		return "", key.User{}, err
	}
	return d.issue(found, p), found, nil
}
