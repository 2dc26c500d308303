package swift

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/door/wire"
	"pithos/internal/naming"
)

// link is a signed link (TempURL) that a request came by.
type link struct {
	sig, expiry string // as sent
	until       int64
	hasPrefix   bool
	prefix      string
	filename    string
	inline      bool
	ipRange     string
	generated   bool // the answer is a page that StaticWeb made
}

// linkMethods are the methods that a link may be signed for; never written.
var linkMethods = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}

// openLink tells who asks by the signature in the query; done is false when there is none. Errors: 401 for whatever is wrong with it, 400 for headers that a link must not carry.
func (c *call) openLink(ctx context.Context) (done bool, err error) {
	if c.r.Method == http.MethodOptions || !c.query.Has("temp_url_sig") && !c.query.Has("temp_url_expires") {
		return false, nil
	}
	l := &link{
		sig: c.query.Get("temp_url_sig"), expiry: c.query.Get("temp_url_expires"), hasPrefix: c.query.Has("temp_url_prefix"), prefix: c.query.Get("temp_url_prefix"),
		filename: c.query.Get("filename"), inline: c.query.Has("inline"), ipRange: c.query.Get("temp_url_ip_range"),
	}
	l.until = parseExpiry(l.expiry)
	sig, ok := parseSignature(l.sig)
	if !ok || l.until < c.started.Unix() || !c.fitsLink(l) {
		return true, c.badLink()
	}
	keys, err := c.signingKeys(ctx, naming.ContainerName(c.rawNames[0]))
	if err != nil {
		return true, err
	}
	scope, ok := c.verifyLink(l, sig, keys)
	if !ok {
		return true, c.badLink()
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		for _, name := range []string{"X-Object-Manifest", "X-Symlink-Target", "X-Copy-From"} {
			if c.has(name) {
				return true, bad("The header '" + name + "' is not allowed in this tempurl")
			}
		}
	}
	delete(c.r.Header, "X-Timestamp")
	delete(c.r.Header, "X-Open-Expired")
	c.query = url.Values{} // nothing else can be smuggled in
	c.signed, c.caller.RequestID, c.caller.Facts, c.caller.Principal = l, c.id, c, c.bearer(scope)
	return true, nil
}

// parseExpiry reads seconds or ISO 8601 in UTC; 0 for anything else.
func parseExpiry(text string) int64 {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		return n
	}
	at, err := time.Parse("2006-1-2T15:4:5Z", text)
	if err != nil {
		return 0
	}
	return at.Unix()
}

// fitsLink checks what a link demands of the request: its method, that it is for an object, the prefix, and where it comes from.
func (c *call) fitsLink(l *link) bool {
	root := l.hasPrefix && l.prefix == "" && c.level == containerLevel && wire.Reads(c.r)
	object := c.level == objectLevel && strings.Trim(c.rawNames[1], "/") != ""
	switch {
	case !contains(linkMethods, c.r.Method), !root && !object, !strings.HasPrefix(c.path, "/v1/"), !strings.HasPrefix(c.account, reseller) && !Extra(c.r):
		return false
	case l.hasPrefix && !strings.HasPrefix(c.rawNames[1], l.prefix):
		return false
	}
	return l.ipRange == "" || inRange(l.ipRange, c.r.RemoteAddr)
}

// inRange tells whether the address of a client lies in a network, or is that address. A network with bits behind its mask is none, as in Swift.
func inRange(network, remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if one, err := netip.ParseAddr(network); err == nil {
		return one.Unmap() == at.Unmap()
	}
	p, err := netip.ParsePrefix(network)
	return err == nil && p == p.Masked() && p.Contains(at.Unmap())
}

// verifyLink finds the key that signed. HEAD is allowed by what allows GET, PUT or POST too.
func (c *call) verifyLink(l *link, sig signature, keys []signingKey) (scope access.Scope, ok bool) {
	methods := []string{c.r.Method}
	if c.r.Method == http.MethodHead {
		methods = []string{http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut}
	}
	name := "/v1/" + c.account + "/" + c.rawNames[0] + "/"
	if l.hasPrefix {
		name = "prefix:" + name + l.prefix
	} else {
		name += c.rawNames[1]
	}
	from := ""
	if l.ipRange != "" {
		from = "ip=" + l.ipRange + "\n"
	}
	for _, k := range keys {
		for _, method := range methods {
			if sig.by(k.key, from+method+"\n"+strconv.FormatInt(l.until, 10)+"\n"+name) {
				return k.scope, true
			}
		}
	}
	return scope, false
}

func (c *call) badLink() *fault {
	return refusal(http.StatusUnauthorized, "401 Unauthorized: Temp URL invalid\n").carrying("Content-Type", "text/html; charset=UTF-8")
}

// finishLink makes an answer that succeeded fit for whoever holds the link: without metadata that is not public, as a file to keep.
func (c *call) finishLink(rep *reply) (*reply, error) {
	l := c.signed
	if l == nil || c.inside {
		return rep, nil
	}
	for name := range c.out {
		if strings.HasPrefix(name, "X-Object-Meta-") && !strings.HasPrefix(name, "X-Object-Meta-Public-") {
			delete(c.out, name)
		}
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead || rep.status/100 != 2 {
		return rep, nil
	}
	if c.level == containerLevel && !l.generated {
		return nil, c.badLink() // only a page of a web site may be had so
	}
	stored := ""
	if v := c.out["Content-Disposition"]; len(v) > 0 {
		stored = v[0]
	}
	switch {
	case (l.inline || l.generated) && l.filename != "":
		c.set("Content-Disposition", disposition("inline", l.filename))
	case l.inline || l.generated:
		c.set("Content-Disposition", "inline")
	case l.filename != "":
		c.set("Content-Disposition", disposition("attachment", l.filename))
	case stored == "":
		c.set("Content-Disposition", disposition("attachment", path.Base(strings.TrimRight(c.path, "/"))))
	}
	c.set("Expires", wire.FormatDate(time.Unix(l.until, 0)))
	return rep, nil
}

// disposition names a file in both forms of RFC 6266.
func disposition(kind, name string) string {
	return kind + `; filename="` + quotePath(name, " /") + `"; filename*=UTF-8''` + quotePath(name, "/")
}

// quotePath escapes every byte but letters, digits, "_.-~" and those of safe.
func quotePath(s, safe string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		b := s[i]
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("_.-~", b) >= 0 || strings.IndexByte(safe, b) >= 0 {
			out.WriteByte(b)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(hexDigits[b>>4])
		out.WriteByte(hexDigits[b&15])
	}
	return out.String()
}
