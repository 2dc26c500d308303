package pithos

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"pithos/internal/errs"
)

// decoded are the beginnings of headers that are percent-decoded (Pithos+ 2.5).
var decoded = []string{ // a table, never written
	"X-Account-", "X-Container-", "X-Object-", "X-Remove-", "X-Copy-From", "X-Move-From", "X-Source-", "X-Shared-", "Destination", "Content-Disposition", "Content-Encoding",
}

// decodeHeaders reads the headers that may be percent-encoded. Errors: 400 for bytes that are not ASCII, and for what does not decode to UTF-8.
func (c *call) decodeHeaders() error {
	c.headers = map[string]string{}
	count := 0
	for name, values := range c.r.Header {
		if !startsWith(name, decoded) || len(values) == 0 {
			continue
		}
		value := values[0]
		if len(value) > headerMax {
			return bad("The value of a header is too long: " + clip(name))
		}
		key, err := decodeText(name)
		if err != nil {
			return err
		}
		key = normalise(key)
		if value, err = c.decodeValue(key, value); err != nil {
			return err
		}
		if strings.Contains(key, "-Meta-") || strings.HasPrefix(key, "X-Account-Group-") {
			count++
			switch {
			case utf8.RuneCountInString(key) > metaNameMax:
				return bad("The name of a header is longer than 128 characters: " + clip(key))
			case utf8.RuneCountInString(value) > metaValueMax && strings.Contains(key, "-Meta-"):
				return bad("The value of a header is longer than 256 characters: " + clip(key))
			case count > metaCountMax:
				return bad("More than 90 metadata headers")
			}
		}
		c.headers[key] = value
	}
	if !ascii(c.h("Content-Type")) {
		return bad("The content type is not ASCII")
	}
	return nil
}

// decodeValue reads the value of a header. In Swift's dialect metadata come as they are (Pithos+ 16.3).
func (c *call) decodeValue(key, value string) (string, error) {
	if !c.swift || !strings.Contains(key, "-Meta-") {
		return decodeText(value)
	}
	if !utf8.ValidString(value) {
		return "", bad("A header is not UTF-8")
	}
	return value, nil
}

func startsWith(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return true
		}
	}
	return false
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func decodeText(s string) (string, error) {
	if !ascii(s) {
		return "", bad("Headers must be ASCII; percent-encode other characters")
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	text := unescape(s)
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return "", bad("A header does not decode to UTF-8")
	}
	return text, nil
}

// normalise writes the name of a header as it is kept: dashes for underscores, each part with a capital (Pithos+ 2.5).
func normalise(name string) string {
	parts := strings.Split(strings.ReplaceAll(name, "_", "-"), "-")
	for i, p := range parts {
		r, n := utf8.DecodeRuneInString(p)
		if n == 0 {
			continue
		}
		parts[i] = string(unicode.ToUpper(r)) + strings.ToLower(p[n:])
	}
	return strings.Join(parts, "-")
}

// escape percent-encodes a value for an answer (Pithos+ 2.5).
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		ch := s[i]
		if ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9' || strings.IndexByte(`_.-/=,:@;" `, ch) >= 0 {
			b.WriteByte(ch)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.WriteByte('%')
		b.WriteByte(digits[ch>>4])
		b.WriteByte(digits[ch&15])
	}
	return b.String()
}

// metadata are the metadata headers of the request with a prefix, names in the lower case in which they are kept for all doors. What Swift's X-Remove- takes
// away has the value "" where they are merged with those that are stored, and is left out otherwise.
func (c *call) metadata(prefix string, merge bool) map[string]string {
	m := map[string]string{}
	for key, value := range c.headers {
		if name, ok := strings.CutPrefix(key, prefix); ok && name != "" {
			m[strings.ToLower(name)] = value
		}
	}
	removal := "X-Remove-" + strings.TrimPrefix(prefix, "X-")
	for key := range c.headers {
		if name, ok := strings.CutPrefix(key, removal); ok && merge {
			m[strings.ToLower(name)] = ""
		} else if ok {
			delete(m, strings.ToLower(name))
		}
	}
	return m
}

// mergeMeta changes stored metadata as a POST says: merged, where "" deletes, or replaced (Pithos+ 4.3, 6.2, 8.4.1).
func mergeMeta(stored, given map[string]string, merge bool) (map[string]string, error) {
	next := map[string]string{}
	if merge {
		for name, value := range stored {
			next[name] = value
		}
	}
	for name, value := range given {
		if value == "" && merge {
			delete(next, name)
		} else {
			next[name] = value
		}
	}
	if len(next) > metaStoredMax && len(next) > len(stored) { // other doors take more
		return nil, bad("More than 32 metadata entries")
	}
	return next, nil
}

// showMeta sets metadata headers.
func (c *call) showMeta(prefix string, m map[string]string) {
	for name, value := range m {
		if !c.swift { // where values go out as they are (Pithos+ 16.3)
			value = escape(value)
		}
		c.set(url.PathEscape(prefix+normalise(name)), value)
	}
}

// notFound is true for what is not there, whatever it is.
func notFound(err error) bool { return errs.Is(err, errs.NotFound) }

// denied is true when the caller may not.
func denied(err error) bool { return errs.Is(err, errs.Denied) }

var forbidden = func() *fault { return refusal(http.StatusForbidden, sentence(http.StatusForbidden)) }
