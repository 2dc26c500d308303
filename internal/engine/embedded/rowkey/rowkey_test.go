package rowkey

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzName(f *testing.F) {
	f.Add("a", "a\x00")
	f.Add("", "\x00\x01")
	f.Add("a\x00\xff", "a\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, kb := AppendName(nil, a), AppendName(nil, []byte(b))
		if got, want := bytes.Compare(ka, kb), strings.Compare(a, b); got != want {
			t.Fatalf("%q and %q compare as %d", a, b, got)
		}
		if a != b && bytes.HasPrefix(ka, kb) {
			t.Fatalf("%q begins like %q", a, b)
		}
		name, rest, ok := CutName(append(ka, "rest"...))
		if !ok || name != a || string(rest) != "rest" {
			t.Fatalf("%q came back as %q, %q, %v", a, name, rest, ok)
		}
		if _, _, ok := CutName([]byte(a)); ok && !strings.Contains(a, "\x00\x01") {
			t.Fatalf("%q was read as a name", a)
		}
	})
}

func TestAfter(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{{"a", "b"}, {"a\xff", "b"}, {"\xff\xff", ""}, {"a\x00", "a\x01"}} {
		if got := string(After([]byte(c.prefix))); got != c.want {
			t.Errorf("after %q: %q, want %q", c.prefix, got, c.want)
		}
	}
}
