package swift

import (
	"context"
	"html"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// list shows what lies under a prefix as a page, if the site shows such pages.
func (s *site) list(ctx context.Context, prefix string) (*reply, error) {
	c := s.c
	label := c.path
	if s.label != "" {
		groups := strings.SplitN(c.path, "/", 5)
		label = s.label + "/"
		if len(groups) == 5 {
			label += groups[4]
		}
	}
	if !flag(s.listings) {
		return s.failedWith(ctx, s.closedPage(label, prefix))
	}
	entries, err := c.listObjects(ctx, listing{limit: c.door.o.Limits.Listing, delimiter: "/", prefix: prefix})
	if err != nil {
		return s.failed(ctx, err)
	}
	if prefix != "" && len(entries) == 0 {
		return s.failed(ctx, refusal(http.StatusNotFound, ""))
	}
	clear(c.out)
	c.set("Content-Type", "text/html; charset=UTF-8")
	if c.signed != nil {
		c.signed.generated = true
	}
	return &reply{status: http.StatusOK, body: s.page(label, prefix, entries)}, nil
}

// failedWith answers 404 with a page of our own, unless the site has one.
func (s *site) failedWith(ctx context.Context, body string) (*reply, error) {
	return s.failed(ctx, refusal(http.StatusNotFound, body).carrying("Content-Type", "text/html; charset=UTF-8"))
}

const (
	pageStyle = "  <style type=\"text/css\">\n" +
		"   h1 {font-size: 1em; font-weight: bold;}\n" +
		"   th {text-align: left; padding: 0px 1em 0px 1em;}\n" +
		"   td {padding: 0px 1em 0px 1em;}\n" +
		"   a {text-decoration: none;}\n" +
		"  </style>\n"
	closedStyle = "  <style type=\"text/css\">\n" +
		"   h1 {font-size: 1em; font-weight: bold;}\n" +
		"   p {font-size: 2}\n" +
		"  </style>\n"
)

// closedPage tells that the site shows no listings.
func (s *site) closedPage(label, prefix string) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html>\n<head>\n<title>Listing of " + html.EscapeString(label) + "</title>\n")
	b.WriteString(s.style(prefix, closedStyle))
	b.WriteString("</head>\n<body>  <h1>Web Listing Disabled</h1>   <p>The owner of this web site has disabled web listing.   " +
		"<p>If you are the owner of this web site, you can enable   web listing by setting X-Container-Meta-Web-Listings.</p>")
	if s.index != "" {
		b.WriteString("<h1>Index File Not Found</h1> <p>The owner of this web site has set  <b>X-Container-Meta-Web-Index: " +
			html.EscapeString(s.index) + "</b>.  However, this file is not found.</p>")
	}
	b.WriteString(" </body>\n</html>\n")
	return b.String()
}

// style is the site's own style sheet, or ours.
func (s *site) style(prefix, own string) string {
	if s.css == "" {
		return own
	}
	href := strings.Repeat("../", strings.Count(prefix, "/")) + quotePath(s.css, "/")
	if strings.HasPrefix(s.css, "/") || strings.HasPrefix(s.css, "http://") || strings.HasPrefix(s.css, "https://") {
		href = quotePath(s.css, ":/")
	}
	return `  <link rel="stylesheet" type="text/css" href="` + href + "\" />\n"
}

// page is the listing.
func (s *site) page(label, prefix string, entries []entry) []byte {
	var b strings.Builder
	query := s.linkQuery()
	b.WriteString("<!DOCTYPE html>\n<html>\n <head>\n  <title>Listing of " + html.EscapeString(label) + "</title>\n")
	b.WriteString(s.style(prefix, pageStyle))
	b.WriteString(" </head>\n <body>\n  <h1 id=\"title\">Listing of " + html.EscapeString(label) + "</h1>\n" +
		"  <table id=\"listing\">\n   <tr id=\"heading\">\n    <th class=\"colname\">Name</th>\n" +
		"    <th class=\"colsize\">Size</th>\n    <th class=\"coldate\">Date</th>\n   </tr>\n")
	row := func(attributes, href, text, size, date string) {
		b.WriteString("   <tr " + attributes + ">\n    <td class=\"colname\"><a href=\"" + href + "\">" + html.EscapeString(text) + "</a></td>\n" +
			"    <td class=\"colsize\">" + size + "</td>\n    <td class=\"coldate\">" + date + "</td>\n   </tr>\n")
	}
	top := ""
	if s.c.signed != nil {
		top = s.c.signed.prefix
	}
	if len(prefix) > len(top) {
		row(`id="parent" class="item"`, "../"+query, "../", "&nbsp;", "&nbsp;")
	}
	href := func(name string) string { return "./" + strings.ReplaceAll(quotePath(name, "/"), ".", "%2E") + query }
	for i := range entries {
		if e := &entries[i]; e.subdir {
			name := e.name[len(prefix):]
			row(`class="item subdir"`, href(name), name, "&nbsp;", "&nbsp;")
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.subdir {
			continue
		}
		name := e.name[len(prefix):]
		var types []string
		for t := range strings.SplitSeq(typeOf(e.object.ContentType), "/") {
			types = append(types, "type-"+html.EscapeString(strings.ToLower(t)))
		}
		row(`class="item `+strings.Join(types, " ")+`"`, href(name), name, humanSize(e.object.Size), e.modified.UTC().Format("2006-01-02 15:04:05"))
	}
	b.WriteString("  </table>\n </body>\n</html>\n")
	return []byte(b.String())
}

// linkQuery is what the links of a page need behind them when the page was had by a signed link.
func (s *site) linkQuery() string {
	l := s.c.signed
	if l == nil || !l.hasPrefix {
		return ""
	}
	parts := []string{"temp_url_prefix=" + quotePath(l.prefix, "/"), "temp_url_expires=" + quotePath(l.expiry, "/"), "temp_url_sig=" + quotePath(l.sig, "/:")}
	if l.ipRange != "" {
		parts = append(parts, "temp_url_ip_range="+quotePath(l.ipRange, "/"))
	}
	if l.inline {
		parts = append(parts, "inline")
	}
	return "?" + strings.Join(parts, "&amp;")
}

// humanSize is a number of bytes for people: 1Mi.
func humanSize(n int64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"} {
		if v < 1024 {
			break
		}
		v, unit = math.RoundToEven(v/1024), u
	}
	return strconv.FormatInt(int64(v), 10) + unit
}
