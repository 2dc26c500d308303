package block

import (
	"bytes"
	"testing"
)

// gen makes the content that the specification's vectors use: byte k is k mod 251.
func gen(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func cut(data []byte, size int) []ID {
	var ids []ID
	for off := 0; off < len(data); off += size {
		ids = append(ids, Sum(data[off:min(off+size, len(data))]))
	}
	return ids
}

// TestRootHash checks the vectors of Pithos+ 1.3.
func TestRootHash(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		data []byte
		root string
	}{
		{"empty", 1024, nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"one zero", 1024, []byte{0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"A", 1024, []byte("A"), "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"},
		{"A and zeros", 1024, append([]byte("A"), make([]byte, 1023)...), "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"},
		{"gen 1024", 1024, gen(1024), "2bce1ba628720664be4b9fdd77aae0678e5f0f3f02fc6ff641ec879094f6a404"},
		{"gen 1025", 1024, gen(1025), "bdaf4f16f2106d5807886f560e865c02b811213b765c3398b19b149468124b46"},
		{"gen 3000", 1024, gen(3000), "3a9c44f3622c23a890e9cd04a5575e429684628c8926c3eac45aa5972409271e"},
		{"gen 5000", 1024, gen(5000), "b0cc569434271b9502ca11f18ad82e7942555ce2f1540836f7d583a7dffd94bc"},
		{"2048 zeros", 1024, make([]byte, 2048), "2dba5dbc339e7316aea2683faf839c1b7b1ee2313db792112588118df066aa35"},
		{"3072 zeros", 1024, make([]byte, 3072), "c93196c1d61dc9a1a3c116c107cd5a28026f5f91b6b9cc0953f708358a1440ec"},
		{"4 MiB + 1", 4 << 20, gen(4<<20 + 1), "4a6cc0a344febaa07772e7c974834b2fb1d24594d4ba15f27c97a54699709f44"},
		{"12 MiB + 1", 4 << 20, gen(12<<20 + 1), "3ce6c05f6ccdfb878c6a1786288175b9a631c9313e6b993ed59fc79a105e5ed1"},
	} {
		if got := RootHash(cut(c.data, c.size)); got.String() != c.root {
			t.Errorf("%s: root %s, want %s", c.name, got, c.root)
		}
	}
}

func TestStrip(t *testing.T) {
	for n := range 40 {
		for zeros := range 40 {
			data := append(bytes.Repeat([]byte{7}, n), make([]byte, zeros)...)
			if got := len(Strip(data)); got != n {
				t.Fatalf("%d bytes and %d zeros: stripped to %d", n, zeros, got)
			}
		}
	}
}

func TestEntriesRoundTrip(t *testing.T) {
	refs := []Ref{{Sum([]byte("a")), 1}, {Empty, 4 << 20}, {Sum([]byte("b")), 1 << 50}}
	got, err := ParseEntries(AppendEntries(nil, refs))
	if err != nil || len(got) != len(refs) {
		t.Fatalf("got %v, %v", got, err)
	}
	for i := range refs {
		if got[i] != refs[i] {
			t.Errorf("entry %d: got %v, want %v", i, got[i], refs[i])
		}
	}
	if _, err := ParseEntries(make([]byte, EntrySize+1)); err == nil {
		t.Error("a torn map block was read")
	}
}
