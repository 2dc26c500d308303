package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// tokenPrefix begins every token, so that one of ours that is no longer good is told from a stranger's.
const tokenPrefix = "AUTH_tk"

// A token is tokenPrefix and, in base64url without padding:
//
//	version 1 | expires, Unix seconds, big-endian 8 | random 8 | length of the access key 1 | access key | user id | HMAC-SHA256 32
//
// The HMAC is over all before it and, for a sign-in with a password, the user's password hash, so that a new password ends the tokens of the
// old one. Every gateway that has the key can check every token, and none needs to be kept.
const (
	tokenVersion = 1
	tokenHead    = 1 + 8 + 8 + 1
	tokenMax     = 1024 // characters
)

// ticket is what a token says.
type ticket struct {
	user      naming.UserID
	accessKey string // of the sign-in; "": with a password
	expires   time.Time
}

// seal makes the token of a ticket. hash is the user's password hash.
func (d *Door) seal(t ticket, hash string) string {
	raw := make([]byte, tokenHead, tokenHead+len(t.accessKey)+len(t.user)+sha256.Size)
	raw[0] = tokenVersion
	binary.BigEndian.PutUint64(raw[1:], uint64(t.expires.Unix()))
	_, _ = rand.Read(raw[9:17]) // crypto/rand.Read never fails (Go 1.24)
	raw[17] = byte(len(t.accessKey))
	raw = append(append(raw, t.accessKey...), t.user...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(raw, d.mac(raw, t, hash)...))
}

func (d *Door) mac(raw []byte, t ticket, hash string) []byte {
	m := hmac.New(sha256.New, d.o.Key)
	_, _ = m.Write(raw) // a hash never fails
	if t.accessKey == "" {
		_, _ = m.Write([]byte(hash))
	}
	return m.Sum(nil)
}

// split takes a token apart without believing it.
func split(token string) (t ticket, raw, mac []byte, ok bool) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(text) > tokenMax {
		return t, nil, nil, false
	}
	all, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(all) < tokenHead+sha256.Size || all[0] != tokenVersion {
		return t, nil, nil, false
	}
	raw, mac = all[:len(all)-sha256.Size], all[len(all)-sha256.Size:]
	names, n := raw[tokenHead:], int(raw[17])
	if n > len(names) {
		return t, nil, nil, false
	}
	t = ticket{
		user: naming.UserID(names[n:]), accessKey: string(names[:n]),
		expires: time.Unix(int64(binary.BigEndian.Uint64(raw[1:])), 0),
	}
	return t, raw, mac, true
}

// Who tells whose token it is. Unauthenticated/User when the token is forged, expired, or its user, account or key is no longer good. A
// token that is none of this service is the anonymous public's: known is false.
func (d *Door) Who(ctx context.Context, token string) (who access.Principal, known bool, err error) {
	const op = "identity.Who"
	if !strings.HasPrefix(token, tokenPrefix) {
		return access.Principal{}, false, nil
	}
	t, raw, mac, ok := split(token)
	if !ok || !d.o.Clock.Now().Before(t.expires) {
		return access.Principal{}, true, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	user, who, err := d.b.Principal(ctx, t.user)
	if err != nil {
		return access.Principal{}, true, err
	}
	if !hmac.Equal(mac, d.mac(raw, t, user.PasswordHash)) {
		return access.Principal{}, true, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	if t.accessKey != "" {
		if _, who, err = d.b.Identify(ctx, t.accessKey); err != nil || who.User != t.user {
			return access.Principal{}, true, errs.E(op, errs.Unauthenticated, errs.User, "").With(err)
		}
	}
	return who, true, nil
}
