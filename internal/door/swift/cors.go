package swift

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"pithos/internal/naming"
)

// CORS lets scripts of other origins in (W3C "Cross-Origin Resource Sharing"; Fetch Standard). Each container has rules of its own, in its metadata.
type CORS struct {
	Origins []string // that are allowed everywhere; "*" is all
	Expose  []string // headers that scripts may see beside the usual ones
}

// origins are the rules of a container.
type origins struct {
	allow  string // as set: origins with spaces between
	expose string
	age    string
}

// exposed are the headers that scripts may always see; never written.
var exposed = []string{
	"cache-control", "content-language", "content-type", "expires", "last-modified", "pragma", "etag", "x-timestamp", "x-trans-id", "x-openstack-request-id",
}

// origins reads the rules; a container that is not there has none. Whoever asks is told: an error without these headers is one that a script cannot read.
func (c *call) origins(ctx context.Context) origins {
	container, err := c.peek(ctx, naming.ContainerName(c.rawNames[0]))
	if err != nil || container == nil {
		if err != nil {
			c.door.o.Log.LogAttrs(ctx, slog.LevelWarn, "no CORS rules", slog.String("request", c.id), slog.String("error", err.Error()))
		}
		return origins{}
	}
	m := container.Config.Meta
	return origins{m["access-control-allow-origin"], m["access-control-expose-headers"], m["access-control-max-age"]}
}

// permits tells whether scripts of an origin may.
func (o origins) permits(d *Door, origin string) bool {
	return slices.ContainsFunc(slices.Concat(strings.Fields(o.allow), d.o.CORS.Origins), func(one string) bool { return one == "*" || one == origin })
}

// name sets the origin that an answer is for.
func (o origins) name(c *call, origin string) {
	if strings.TrimSpace(o.allow) == "*" {
		c.set("Access-Control-Allow-Origin", "*")
		return
	}
	c.set("Access-Control-Allow-Origin", origin)
	c.vary("Origin")
}

// vary adds to what the answer depends on.
func (c *call) vary(on string) {
	if v := c.out["Vary"]; len(v) > 0 {
		on = v[0] + ", " + on
	}
	c.set("Vary", on)
}

// allowOrigin tells a script what it may see of an answer, whatever the answer is.
func (c *call) allowOrigin(ctx context.Context) {
	origin := c.h("Origin")
	if origin == "" || c.level < containerLevel || c.r.Method == http.MethodOptions || c.out["Access-Control-Allow-Origin"] != nil {
		return
	}
	o := c.origins(ctx)
	if !o.permits(c.door, origin) {
		return
	}
	list := slices.Concat(exposed, c.door.o.CORS.Expose)
	for name := range c.out {
		if strings.HasPrefix(name, "X-Container-Meta") || strings.HasPrefix(name, "X-Object-Meta") {
			list = append(list, strings.ToLower(name))
		}
	}
	for name := range strings.FieldsSeq(o.expose) {
		list = append(list, strings.ToLower(name))
	}
	slices.Sort(list)
	c.set("Access-Control-Expose-Headers", strings.Join(slices.Compact(list), ", "))
	o.name(c, origin)
}

// options tells the methods, and a browser whether a script of another origin may use them. It asks for no token: browsers send none.
func options(ctx context.Context, c *call) (*reply, error) {
	allow := c.door.allowed(c.level, c.path)
	c.set("Allow", allow)
	origin := c.h("Origin")
	if origin == "" || c.level < containerLevel {
		return empty(http.StatusOK), nil
	}
	o := c.origins(ctx)
	if !o.permits(c.door, origin) || !contains(strings.Split(allow, ", "), c.h("Access-Control-Request-Method")) {
		return nil, refusal(http.StatusUnauthorized, "").carrying("Allow", allow)
	}
	o.name(c, origin)
	c.setIf("Access-Control-Max-Age", o.age)
	c.set("Access-Control-Allow-Methods", allow)
	if text := c.h("Access-Control-Request-Headers"); text != "" {
		var headers []string
		for h := range strings.SplitSeq(text, ",") {
			if h = strings.TrimSpace(h); h != "" && !slices.Contains(headers, h) {
				headers = append(headers, h)
			}
		}
		c.set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
		c.vary("Access-Control-Request-Headers")
	}
	return empty(http.StatusOK), nil
}
