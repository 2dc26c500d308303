package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/door/wire"
	"pithos/internal/door/wire/sigv4"
)

// front finds out how a client sent its request, where proxies stand between: its address, the scheme, host and path that it used. Only what trusted
// proxies say counts; from anybody else the same headers mean nothing.
type front struct {
	trusted  []netip.Prefix
	external []*url.URL // addresses by which clients know the service
}

func newFront(c *config.Config) *front {
	f := &front{trusted: prefixes(c.Proxies.Trusted)}
	for _, text := range c.S3.External {
		if u, err := url.Parse(text); err == nil { // the configuration has checked it
			f.external = append(f.external, u)
		}
	}
	return f
}

// places are the external addresses as signatures name them.
func (f *front) places() (list []sigv4.Place) {
	for _, u := range f.external {
		list = append(list, sigv4.Place{Host: u.Host, Prefix: u.Path})
	}
	return list
}

// proxied lets trusted proxies speak the PROXY protocol, if they may.
func (s *service) proxied(l net.Listener) net.Listener {
	if l == nil || s.o.Config.Proxies.Protocol != config.On || len(s.front.trusted) == 0 {
		return l
	}
	return &proxied{Listener: l, front: s.front, now: s.o.Clock.Now}
}

// newShares makes the limiters of addresses and users. All doors hold them together.
func newShares(l config.Limits, c clock.Clock) wire.Shares {
	of := func(s config.Share) *wire.Limiter {
		return wire.NewLimiter(wire.Share{Rate: float64(s.Rate), AtOnce: s.Requests, Bytes: s.Bandwidth}, c)
	}
	return wire.Shares{Addresses: of(l.Address), Users: of(l.User)}
}

// pace is what the bodies of requests must keep up with.
func (s *service) pace() wire.Pace {
	return wire.Pace{Idle: s.o.Config.Limits.BodyTimeout, Grace: paceGrace, RateMin: paceRate}
}

// behind puts the front before a handler.
func (f *front) behind(next http.Handler) http.Handler {
	if len(f.trusted) == 0 && len(f.external) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := wire.OriginOf(r)
		if peer, ok := addrOf(r.RemoteAddr); ok && f.trusts(peer) {
			r.RemoteAddr = f.forwarded(r, peer, &o)
			r.Host = o.Host
		}
		f.locate(&o, r.RequestURI)
		next.ServeHTTP(w, wire.WithOrigin(r, o))
	})
}

func (f *front) trusts(a netip.Addr) bool {
	for _, p := range f.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// addrOf reads the address out of "address:port" or an address alone.
func addrOf(s string) (netip.Addr, bool) {
	s = strings.Trim(s, `" `)
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err == nil
}

// forwarded reads what a trusted proxy says, and returns the client's address. X-Forwarded-* count before Forwarded (RFC 7239). Of a list of
// clients the last one that no trusted proxy is counts: what stands before it anybody may have written.
func (f *front) forwarded(r *http.Request, peer netip.Addr, o *wire.Origin) string {
	clients, said := r.Header.Values("X-Forwarded-For"), map[string]string{
		"proto": lastOf(r.Header.Values("X-Forwarded-Proto")), "host": lastOf(r.Header.Values("X-Forwarded-Host")),
		"port": lastOf(r.Header.Values("X-Forwarded-Port")), "prefix": lastOf(r.Header.Values("X-Forwarded-Prefix")),
	}
	if elements := listOf(r.Header.Values("Forwarded")); len(elements) > 0 {
		last := forwardedPairs(elements[len(elements)-1])
		for _, name := range []string{"proto", "host"} {
			if said[name] == "" {
				said[name] = last[name]
			}
		}
		if len(clients) == 0 {
			for _, e := range elements {
				clients = append(clients, forwardedPairs(e)["for"])
			}
		}
	}
	switch proto := strings.ToLower(said["proto"]); proto {
	case "http", "https":
		o.Scheme = proto
	}
	if validHost(said["host"]) {
		o.Host = said["host"]
	}
	if port := said["port"]; port != "" && strings.Trim(port, "0123456789") == "" && len(port) <= 5 && !strings.Contains(o.Host[strings.LastIndexByte(o.Host, ']')+1:], ":") &&
		port != map[string]string{"http": "80", "https": "443"}[o.Scheme] {
		o.Host += ":" + port
	}
	if p := strings.TrimRight(said["prefix"], "/"); validPrefix(p) {
		o.Prefix = p
	}
	return net.JoinHostPort(f.client(listOf(clients), peer).String(), "0")
}

// client is the last address of a chain that belongs to no trusted proxy.
func (f *front) client(chain []string, peer netip.Addr) netip.Addr {
	found := peer
	for i := len(chain) - 1; i >= 0; i-- {
		a, ok := addrOf(chain[i])
		if !ok {
			return found
		}
		if found = a; !f.trusts(a) {
			return found
		}
	}
	return found
}

// locate finds the external address that a request came by, and the prefix of its path.
func (f *front) locate(o *wire.Origin, target string) {
	path, _, _ := strings.Cut(target, "?")
	for _, u := range f.external {
		if !strings.EqualFold(u.Host, o.Host) || u.Path == "" || o.Prefix != "" && o.Prefix != u.Path {
			continue
		}
		if rest, ok := strings.CutPrefix(path, u.Path); ok && (rest == "" || rest[0] == '/') {
			o.Prefix, o.Sent = u.Path, true
			return
		}
	}
}

// lastOf is the last element of a header that may be a list.
func lastOf(values []string) string {
	if list := listOf(values); len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// listMax bounds the elements of a forwarding header that are looked at.
const listMax = 64

func listOf(values []string) (list []string) {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimSpace(one); one != "" {
				list = append(list, one)
			}
		}
	}
	return list[max(0, len(list)-listMax):]
}

// forwardedPairs reads one element of a Forwarded header.
func forwardedPairs(element string) map[string]string {
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		pairs[strings.ToLower(name)] = strings.Trim(value, `"`)
	}
	return pairs
}

// validHost and validPrefix see to it that what a proxy says can stand in a URL.
func validHost(s string) bool {
	return s != "" && len(s) <= 260 && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", c)
	}) < 0
}

func validPrefix(s string) bool {
	return len(s) > 1 && s[0] == '/' && len(s) <= 256 && !strings.Contains(s, "//") && strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/.-_~", c)
	}) < 0
}
