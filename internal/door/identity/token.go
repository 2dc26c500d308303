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
	"pithos/internal/store/key"
)

// tokenPrefix begins every token, so that one of ours that is no longer good is told from a stranger's.
const tokenPrefix = "AUTH_tk"

// A token is tokenPrefix and, in base64url without padding, numbers big-endian:
//
//	version 2 | methods 1 | scope 1 | expires, Unix seconds 8 | issued, Unix microseconds 8 | random 8 |
//	length of the access key 1 | length of the project 2 | access key | project | user id | HMAC-SHA256 32
//
// The HMAC is over all before it and, for a sign-in with a password, the user's password hash, so that a new password ends the tokens of the
// old one. Every gateway that has the key can check every token, and none needs to be kept: only those are that are ended early.
const (
	tokenVersion = 2
	tokenHead    = 3 + 8 + 8 + 8 + 1 + 2
	tokenMax     = 2048 // characters
)

// scope is what a token is for.
type scope uint8

const (
	unscoped   scope = iota // for the identity service only
	ownProject              // the user's own account
	anyProject              // another account, named in the token; for who may do everything everywhere
)

// methods are the ways of a sign-in, as Keystone names them.
type methods uint8

const (
	byPassword methods = 1 << iota
	byToken
	byCredential // an application credential

	viaKeystone methods = 1 << 7 // the sign-in was Keystone's, not TempAuth's
)

func (m methods) names() []string {
	names := []string{}
	for i, name := range []string{"password", "token", "application_credential"} {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// ticket is what a token says.
type ticket struct {
	user      naming.UserID
	accessKey string // of the sign-in; "": with a password
	methods   methods
	scope     scope
	project   naming.AccountID // of anyProject
	issued    time.Time
	expires   time.Time
	id        string // drawn when it is sealed; what a revocation names
}

// seal makes the token of a ticket, and draws its id. hash is the user's password hash.
func (d *Door) seal(t *ticket, hash string) string {
	raw := make([]byte, tokenHead, tokenHead+len(t.accessKey)+len(t.project)+len(t.user)+sha256.Size)
	raw[0], raw[1], raw[2] = tokenVersion, byte(t.methods), byte(t.scope)
	binary.BigEndian.PutUint64(raw[3:], uint64(t.expires.Unix()))
	binary.BigEndian.PutUint64(raw[11:], uint64(t.issued.UnixMicro()))
	_, _ = rand.Read(raw[19:27]) // crypto/rand.Read never fails (Go 1.24)
	t.id = base64.RawURLEncoding.EncodeToString(raw[19:27])
	raw[27] = byte(len(t.accessKey))
	binary.BigEndian.PutUint16(raw[28:], uint16(len(t.project)))
	raw = append(append(append(raw, t.accessKey...), t.project...), t.user...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(raw, d.mac(raw, t, hash)...))
}

func (d *Door) mac(raw []byte, t *ticket, hash string) []byte {
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
	if err != nil || len(all) < tokenHead+sha256.Size || all[0] != tokenVersion || scope(all[2]) > anyProject {
		return t, nil, nil, false
	}
	raw, mac = all[:len(all)-sha256.Size], all[len(all)-sha256.Size:]
	names, n, p := raw[tokenHead:], int(raw[27]), int(binary.BigEndian.Uint16(raw[28:]))
	if n+p > len(names) {
		return t, nil, nil, false
	}
	t = ticket{
		user: naming.UserID(names[n+p:]), accessKey: string(names[:n]), project: naming.AccountID(names[n : n+p]),
		methods: methods(raw[1]), scope: scope(raw[2]),
		expires: time.Unix(int64(binary.BigEndian.Uint64(raw[3:])), 0),
		issued:  time.UnixMicro(int64(binary.BigEndian.Uint64(raw[11:]))),
		id:      base64.RawURLEncoding.EncodeToString(raw[19:27]),
	}
	return t, raw, mac, true
}

// bearer is whom a token that is good belongs to.
type bearer struct {
	ticket

	record  key.User
	who     access.Principal
	account key.Account // of the user
	target  key.Account // the project that the token is for; zero without one
}

// expiredWindow is how long after its end a token still counts where a service asks for that (Keystone's allow_expired_window).
const expiredWindow = 48 * time.Hour

// check reads a token and looks whether it is good; late lets it have ended within the window. Unauthenticated/User when it is forged, expired, ended early, or its
// user, account, project or key is no longer good.
func (d *Door) check(ctx context.Context, token string, late time.Duration) (*bearer, error) {
	const op = "identity.check"
	t, raw, mac, ok := split(token)
	if !ok || !d.o.Clock.Now().Before(t.expires.Add(late)) {
		return nil, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	user, who, err := d.b.Principal(ctx, t.user)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(mac, d.mac(raw, &t, user.PasswordHash)) {
		return nil, errs.E(op, errs.Unauthenticated, errs.User, "")
	}
	if t.accessKey != "" {
		if _, who, err = d.b.Identify(ctx, t.accessKey); err != nil {
			return nil, err
		}
		if who.User != t.user {
			return nil, errs.E(op, errs.Unauthenticated, errs.User, "")
		}
	}
	ended, err := d.b.Revoked(ctx, t.user, t.id, t.issued)
	if err != nil {
		return nil, err
	}
	if ended {
		return nil, errs.E(op, errs.Unauthenticated, errs.User, string(t.user))
	}
	b := &bearer{ticket: t, record: user, who: who}
	if err := d.locate(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

// locate finds the accounts of a token.
func (d *Door) locate(ctx context.Context, b *bearer) error {
	var err error
	if b.account, err = d.b.Account(ctx, b.who.Account); err != nil {
		return err
	}
	switch b.scope {
	case ownProject:
		b.target = b.account
	case anyProject:
		if b.target, err = d.b.Account(ctx, b.project); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		if err != nil || b.target.Disabled || !b.who.Operator {
			return errs.E("identity.locate", errs.Unauthenticated, errs.Account, string(b.project)).With(err)
		}
	}
	return nil
}

// Who tells whose token it is. Unauthenticated/User when the token is forged, expired, ended early, or its user, account or key is no longer good. A
// token that is none of this service is the anonymous public's: known is false. So is one without a project, which is for this door only.
func (d *Door) Who(ctx context.Context, token string) (who access.Principal, known bool, err error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return access.Principal{}, false, nil
	}
	b, err := d.check(ctx, token, 0)
	if err != nil {
		return access.Principal{}, true, err
	}
	if b.scope == unscoped {
		return access.Principal{}, false, nil
	}
	b.who.Keystone = b.methods&viaKeystone != 0
	return b.who, true, nil
}

// issue makes a token for somebody who has just signed in, for the user's own project.
func (d *Door) issue(found key.User, who access.Principal) string {
	return d.seal(d.ticket(found.ID, who.AccessKey), found.PasswordHash)
}

// ticket is a new one for the user's own project.
func (d *Door) ticket(user naming.UserID, accessKey string) *ticket {
	now := d.o.Clock.Now()
	return &ticket{
		user: user, accessKey: accessKey, methods: byPassword, scope: ownProject,
		issued: now.Truncate(time.Microsecond), expires: now.Add(d.o.Life),
	}
}
