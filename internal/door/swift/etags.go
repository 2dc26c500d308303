package swift

import (
	"context"
	"strings"

	"pithos/internal/store/bucket"
)

// Where the wish for ETags in quotes is kept: in a document of a container, and under a name that no header has in an account's metadata.
const (
	etagsDocument = "swift-quoted-etags"
	etagsMeta     = "\x00rfc-compliant-etags"
)

// wish is a setting that a request makes, "true" or "false", or takes away, "".
type wish struct {
	set   bool
	value string
}

// quoteWish reads what a request says about ETags in quotes; kind is "Account" or "Container".
func (c *call) quoteWish(kind string) (w wish) {
	name := "X-" + kind + "-Rfc-Compliant-Etags"
	if c.has(name) {
		w.set = true
		if text := c.h(name); flag(text) {
			w.value = "true"
		} else if text != "" {
			w.value = "false"
		}
	}
	if c.h("X-Remove-"+kind+"-Rfc-Compliant-Etags") != "" {
		w = wish{set: true}
	}
	return w
}

// keep changes a container's setting.
func (w wish) keep(cfg *bucket.Config) {
	switch {
	case !w.set:
	case w.value == "":
		delete(cfg.Documents, etagsDocument)
	default:
		cfg.Documents[etagsDocument] = []byte(w.value)
	}
}

// keepMeta changes an account's setting.
func (w wish) keepMeta(meta map[string]string) {
	switch {
	case !w.set:
	case w.value == "":
		delete(meta, etagsMeta)
	default:
		meta[etagsMeta] = w.value
	}
}

// quoteETag puts the ETag of an object's answer into quotes, as RFC 9110 wants it and Swift does only when told: by the container, else by the account, else by the
// service.
func (c *call) quoteETag(ctx context.Context) {
	v := c.out["Etag"]
	if c.level != objectLevel || len(v) == 0 || strings.HasPrefix(v[0], `"`) {
		return
	}
	container, err := c.peek(ctx, c.container)
	if err != nil || container == nil {
		return
	}
	setting := string(container.Config.Documents[etagsDocument])
	if setting == "" {
		if settings, err := c.door.b.Settings(ctx, c.owner); err == nil {
			setting = settings.Meta[etagsMeta]
		}
	}
	if setting == "true" || setting == "" && c.door.o.QuotedETags {
		c.set("Etag", `"`+v[0]+`"`)
	}
}
