// Package namingtest has names that are hard on engines: every conformance
// suite and random test draws from them.
package namingtest

import (
	"math/rand/v2"
	"strings"

	"pithos/internal/naming"
)

// Objects is valid object names in byte order: neighbours that encodings confuse, controls, all planes of Unicode, the longest ones.
func Objects() []naming.ObjectName {
	return []naming.ObjectName{
		"\x01", "\x01\x01", "\x01\x02", "\t", "\n", "\r\n", " ", "  ", "!", "%", "%00", "%2F", "%2f", "&<>\"'", "+", "-",
		".", "..", "../a", "./a", "/", "//", "///a", "/a", "0", "00", "1", "10", "2", ":", "\\", "a", "a\x01", "a ", "a!",
		"a-", "a.", "a/", "a/\x01", "a//", "a//b", "a/b", "a/b/", "a/b/c", "a/c", "a0", "aa", "ab",
		naming.ObjectName("b" + strings.Repeat("/b", 511)),
		naming.ObjectName("c/" + strings.Repeat("x", naming.ObjectNameMax-2)),
		naming.ObjectName("c/" + strings.Repeat("x", naming.ObjectNameMax-3) + "\x7f"),
		naming.ObjectName("c/" + strings.Repeat("x", naming.ObjectNameMax-4) + "\u0080"),
		"z", "~", "\x7f", "\u0080", "\u00a0", "\u00df", "\u00e9", "\u07ff", "\u0800", "\u200b", "\u2028", "\ud7ff", "\ue000", "\ufeff", "\ufffd", "\uffff",
		"\U00010000", "\U0001f600", "\U0001f600/\U0001f600", "\U0010fffd", "\U0010ffff", "\U0010ffff\U0010ffff",
	}
}

// Random draws a short name over an alphabet of few letters, so that prefixes and neighbours meet often.
func Random(r *rand.Rand) naming.ObjectName {
	alphabet := []string{"a", "b", "/", "/", "\x01", "\u00e9", "\U0010ffff", "0"}
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString(alphabet[r.IntN(len(alphabet))])
	}
	return naming.ObjectName(b.String())
}
