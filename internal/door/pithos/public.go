package pithos

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// discard reads at most limit bytes.
func discard(r io.Reader, limit int64) (int64, error) {
	n, err := io.Copy(io.Discard, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = errs.E("pithos.discard", errs.TooLarge, errs.Request, "")
	}
	return n, err
}

// getPublic serves a public link (Pithos+ 9).
func getPublic(ctx context.Context, c *call) (*reply, error) {
	o, err := c.door.b.OpenPublic(ctx, backend.Caller{RequestID: c.id, Facts: c}, c.raw[2], object.Precondition{})
	if err != nil {
		return nil, err
	}
	c.name = o.Name
	return c.serve(ctx, o, o.Modified(), true)
}

// viewFor is how long a code or token for a browser is good (Pithos+ 10).
const viewFor = 20 * time.Second

// What is sealed for a browser. A code is changed into a token once; only a token opens the object.
const (
	viewCode  = "code"
	viewToken = "token"
	viewMax   = 2048 // characters
	// stateCookie holds what the sign-in has to bring back, so that nobody can have a browser sign in to what it did not ask for.
	stateCookie = "pithos_view"
)

// seal makes a code or token with which a browser may open one path as the user for a short time.
func (d *Door) seal(kind string, user naming.UserID, path string) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(d.o.Clock.Now().Add(viewFor).UnixNano()))
	raw = append(raw, user...)
	return base64.RawURLEncoding.EncodeToString(append(raw, d.viewMAC(kind, raw, path)...))
}

func (d *Door) viewMAC(kind string, raw []byte, path string) []byte {
	m := hmac.New(sha256.New, d.o.Key)
	_, _ = m.Write([]byte("view\x00" + kind + "\x00" + path + "\x00")) // a hash never fails
	_, _ = m.Write(raw)
	return m.Sum(nil)
}

// unseal gives the user that a code or token for a path names; "" when it is not good.
func (d *Door) unseal(kind, text, path string) naming.UserID {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(text) > viewMax || len(raw) <= 8+sha256.Size {
		return ""
	}
	body, mac := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	expires := time.Unix(0, int64(binary.BigEndian.Uint64(body)))
	if !hmac.Equal(mac, d.viewMAC(kind, body, path)) || !d.o.Clock.Now().Before(expires) {
		return ""
	}
	return naming.UserID(body[8:])
}

// viewer is the user that a view token for a path names; "" when it is not good.
func (d *Door) viewer(token, path string) naming.UserID { return d.unseal(viewToken, token, path) }

// spent remembers the codes that were changed into tokens until they expire, so that each works once.
type spent struct {
	mu    sync.Mutex
	codes map[string]time.Time
}

// use reports whether the code was not used before.
func (s *spent) use(code string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes == nil {
		s.codes = map[string]time.Time{}
	}
	maps.DeleteFunc(s.codes, func(_ string, at time.Time) bool { return now.After(at.Add(viewFor)) })
	if _, used := s.codes[code]; used {
		return false
	}
	s.codes[code] = now
	return true
}

// asked tells whether the browser that brings the state is the one that was sent to sign in with it.
func (c *call) asked(state string) bool {
	cookie, err := c.r.Cookie(stateCookie)
	return err == nil && state != "" && cookie.Value == state
}

// getView shows a private object to a browser that brings a token for this one path (Pithos+ 10). Without one the browser is sent to sign in and comes
// back with a code.
func getView(ctx context.Context, c *call) (*reply, error) {
	at := strings.TrimPrefix(c.path, view)
	self := url.URL{Path: c.path}
	q := c.query
	token, code := q.Get("access_token"), q.Get("code")
	switch {
	case token != "":
		user := c.door.viewer(token, at)
		if user == "" {
			c.set("Location", self.EscapedPath())
			return empty(http.StatusFound), nil
		}
		_, who, err := c.door.b.Principal(ctx, user)
		if err != nil {
			return nil, err
		}
		c.caller.Principal, c.caller.RequestID, c.caller.Facts = who, c.id, c
		return getObject(ctx, c)
	case code != "":
		user := c.door.unseal(viewCode, code, at)
		if user == "" || !c.asked(q.Get("state")) || !c.door.spent.use(code, c.started) {
			c.set("Location", self.EscapedPath())
			return empty(http.StatusFound), nil
		}
		q.Del("code")
		q.Del("state")
		q.Set("access_token", c.door.seal(viewToken, user, at))
		self.RawQuery = q.Encode()
		c.set("Location", self.String())
		return empty(http.StatusFound), nil
	}
	state := rand.Text()
	c.set("Set-Cookie", (&http.Cookie{
		Name: stateCookie, Value: state, Path: view, MaxAge: 300, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.r.TLS != nil,
	}).String())
	self.RawQuery = q.Encode()
	at = "/" + at
	c.set("Location", strings.TrimSuffix(c.door.o.External, "/")+oauthPath+"?"+url.Values{
		"response_type": {"code"}, "client_id": {"pithos-view"}, "redirect_uri": {c.content() + self.String()}, "state": {state}, "scope": {at},
	}.Encode())
	return empty(http.StatusFound), nil
}
