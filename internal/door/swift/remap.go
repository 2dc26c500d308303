package swift

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// remap puts account and container before the path when the host's name tells them: CONTAINER.ACCOUNT.DOMAIN or ACCOUNT.DOMAIN, where "-" stands for
// the "_" of an account, which no host has. Errors: 400 for a host under a domain that is neither, or that leads to no domain of ours.
func (c *call) remap(ctx context.Context) error {
	if len(c.door.o.Domains) == 0 {
		return nil
	}
	host := hostOf(c.r.Host)
	rest, ok := c.door.under(host)
	if !ok && c.door.o.LookupCNAME != nil && net.ParseIP(host) == nil && strings.Contains(host, ".") {
		name, err := c.door.names.lookup(ctx, c.door.o.LookupCNAME, host, c.started)
		if rest, ok = c.door.under(name); err != nil || !ok {
			if name == "" || name == host {
				return nil // a host of the service itself
			}
			return bad("CNAME lookup failed to resolve to a valid domain").because(err)
		}
	}
	if !ok {
		return nil
	}
	labels := strings.Split(strings.Trim(rest, "."), ".")
	if len(labels) > 2 {
		return bad("Bad domain in host header")
	}
	account := labels[len(labels)-1]
	if !strings.Contains(account, "_") {
		account = strings.Replace(account, "-", "_", 1)
	}
	if len(account) < len(reseller) || !strings.EqualFold(account[:len(reseller)], reseller) {
		return nil // an account of nobody: the path stands as it is
	}
	c.remapped = "/v1/" + reseller + account[len(reseller):]
	if len(labels) == 2 {
		c.remapped += "/" + labels[0]
	}
	c.path = c.remapped + c.path
	return nil
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// under gives what stands before one of the domains.
func (d *Door) under(host string) (rest string, ok bool) {
	for _, domain := range d.o.Domains {
		if len(host) > len(domain)+1 && strings.EqualFold(host[len(host)-len(domain)-1:], "."+domain) {
			return host[:len(host)-len(domain)-1], true
		}
	}
	return "", false
}

// names keeps what aliases lead to for a while. The zero value is ready.
type names struct {
	mu   sync.Mutex
	kept map[string]resolved
}

type resolved struct {
	name string
	err  error
	at   time.Time
}

// Bounds of what names keeps and how long it waits.
const (
	namesMax    = 1000
	namesKeep   = time.Minute
	namesWaited = 2 * time.Second
)

func (n *names) lookup(ctx context.Context, by func(context.Context, string) (string, error), host string, now time.Time) (string, error) {
	n.mu.Lock()
	r, ok := n.kept[host]
	n.mu.Unlock()
	if ok && now.Sub(r.at) < namesKeep {
		return r.name, r.err
	}
	ctx, cancel := context.WithTimeout(ctx, namesWaited)
	defer cancel()
	name, err := by(ctx, host)
	r = resolved{strings.TrimSuffix(name, "."), err, now}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil || len(n.kept) >= namesMax {
		n.kept = map[string]resolved{}
	}
	n.kept[host] = r
	return r.name, r.err
}

// backHome maps places that the answer names back to how the client sees them.
func (c *call) backHome() {
	if c.remapped == "" {
		return
	}
	for _, name := range []string{"Location", "Content-Location"} {
		if v := c.out[name]; len(v) > 0 {
			if i := strings.Index(v[0], quotePath(c.remapped, "/")); i >= 0 && (i == 0 || strings.Contains(v[0][:i], "://"+c.r.Host)) {
				c.set(name, v[0][:i]+v[0][i+len(quotePath(c.remapped, "/")):])
			}
		}
	}
}

// writes tells whether a method changes something.
func writes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}
