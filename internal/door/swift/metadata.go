package swift

import (
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"
)

// metadata reads the headers with the prefix ("X-Object-Meta-", canonical). Names are kept in lower case, as the S3 door keeps its own.
// Errors: 400 when a name, a value, their number or their sum is over a limit.
func (c *call) metadata(prefix string) (map[string]string, error) {
	found := map[string]string{}
	for header, values := range c.r.Header {
		name, ok := strings.CutPrefix(header, prefix)
		if !ok {
			continue
		}
		if name == "" {
			return nil, bad("Metadata name cannot be empty")
		}
		value := strings.Join(values, ",")
		switch {
		case len(name) > metaNameMax:
			return nil, bad("Metadata name too long: " + clip(header))
		case len(value) > metaValueMax:
			return nil, bad("Metadata value longer than " + strconv.Itoa(metaValueMax) + ": " + clip(header))
		}
		found[strings.ToLower(name)] = value
	}
	return found, checkMetadata(found)
}

// checkMetadata bounds what is stored together.
func checkMetadata(m map[string]string) error {
	total := 0
	for name, value := range m {
		if strings.HasPrefix(name, "\x00") {
			continue // ours
		}
		total += len(name) + len(value)
	}
	switch {
	case len(m) > metaCountMax:
		return bad("Too many metadata items; max " + strconv.Itoa(metaCountMax))
	case total > metaOverallMax:
		return bad("Total metadata too large; max " + strconv.Itoa(metaOverallMax))
	}
	return nil
}

// changes reads what a request changes of an account's or container's metadata; kind is "Account" or "Container". A value of "" removes.
func (c *call) changes(kind string) (map[string]string, error) {
	found, err := c.metadata("X-" + kind + "-Meta-")
	if err != nil {
		return nil, err
	}
	for name, value := range found {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, bad("Metadata must be valid UTF-8")
		}
	}
	for header := range c.r.Header {
		if name, ok := strings.CutPrefix(header, "X-Remove-"+kind+"-Meta-"); ok && name != "" {
			if found[strings.ToLower(name)] == "" {
				found[strings.ToLower(name)] = ""
			}
		}
	}
	return found, nil
}

// apply merges changes into what is stored, which must stay within the limits.
func apply(stored, changes map[string]string) error {
	for name, value := range changes {
		if value == "" {
			delete(stored, name)
		} else {
			stored[name] = value
		}
	}
	return checkMetadata(stored)
}

// private are names of account and container metadata that only owners see.
func private(name string) bool { return name == "temp-url-key" || name == "temp-url-key-2" }

// showMetadata sets metadata headers. What no header can carry, because another door set it, is left out.
func (c *call) showMetadata(prefix string, m map[string]string, owner bool) {
	for name, value := range m {
		if !owner && private(name) || !sendable(name, value) {
			continue
		}
		c.out[textproto.CanonicalMIMEHeaderKey(prefix+name)] = []string{value}
	}
}

// sendable reports whether a name and value can stand in an HTTP header (RFC 9110 section 5).
func sendable(name, value string) bool {
	badName := strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	badValue := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
	return name != "" && !badName && !badValue
}
