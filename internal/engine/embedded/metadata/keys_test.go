package metadata

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
	"time"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// FuzzKeyOrder checks that keys come back as they were and that their byte order is the order of what they stand for.
func FuzzKeyOrder(f *testing.F) {
	f.Add("a", uint64(1), "b", uint64(2))
	f.Add("a", uint64(7), "a\x00", uint64(7))
	f.Add("a", uint64(7), "a\x00\x01", uint64(1<<63))
	f.Add("a/", uint64(0), "a/b", uint64(1))
	f.Add("\x00\xff", uint64(3), "\x00\x01", uint64(3))
	f.Fuzz(func(t *testing.T, name1 string, id1 uint64, name2 string, id2 uint64) {
		c := naming.ContainerID{1, 2}
		n1, n2 := naming.ObjectName(name1), naming.ObjectName(name2)
		v1, v2 := object.VersionID(id1), object.VersionID(id2)

		k1, k2 := versionKey(nil, spaceHistory, c, n1, v1), versionKey(nil, spaceHistory, c, n2, v2)
		want := cmp.Or(strings.Compare(name1, name2), cmp.Compare(id2, id1))
		if got := bytes.Compare(k1, k2); got != want {
			t.Fatalf("version keys of %q/%d and %q/%d compare as %d, want %d", name1, id1, name2, id2, got, want)
		}
		if c2, n, v, ok := cutVersionKey(k1); !ok || c2 != c || n != n1 || v != v1 {
			t.Fatalf("version key came back as %v %q %d %v", c2, n, v, ok)
		}
		p1 := versionPrefix(nil, spaceHistory, c, n1)
		if name1 != name2 && bytes.HasPrefix(k2, p1) {
			t.Fatalf("a version of %q stands among those of %q", name2, name1)
		}

		j1, j2 := journalKey(nil, c, v1, n1), journalKey(nil, c, v2, n2)
		want = cmp.Or(cmp.Compare(id1, id2), strings.Compare(name1, name2))
		if got := bytes.Compare(j1, j2); got != want {
			t.Fatalf("journal keys compare as %d, want %d", got, want)
		}
		if c2, v, n, ok := cutOrderedKey(j1); !ok || c2 != c || n != n1 || v != v1 {
			t.Fatalf("journal key came back as %v %q %d %v", c2, n, v, ok)
		}

		u1, u2 := meta.UploadKey{Container: c, Name: n1, ID: name2}, meta.UploadKey{Container: c, Name: n2, ID: name1}
		want = cmp.Or(strings.Compare(name1, name2), strings.Compare(u1.ID, u2.ID))
		if got := bytes.Compare(uploadKey(nil, spaceUpload, u1), uploadKey(nil, spaceUpload, u2)); got != want {
			t.Fatalf("upload keys compare as %d, want %d", got, want)
		}
		if k, ok := cutUploadKey(uploadKey(nil, spaceUpload, u1)[1:]); !ok || k != u1 {
			t.Fatalf("upload key came back as %+v %v", k, ok)
		}
		number := int(uint32(id1))
		if k, n, ok := cutPartKey(partKey(nil, u1, number)); !ok || k != u1 || n != number {
			t.Fatalf("part key came back as %+v %d %v", k, n, ok)
		}
	})
}

func FuzzCutKeys(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0})
	f.Add(versionKey(nil, spaceHistory, naming.ContainerID{}, "a\x00b", 9))
	f.Fuzz(func(t *testing.T, raw []byte) {
		// Whatever is read back must be what the key says: writing it again gives the same key.
		if c, n, v, ok := cutVersionKey(raw); ok && !bytes.Equal(versionKey(nil, raw[0], c, n, v), raw) {
			t.Errorf("version key %x is read as another", raw)
		}
		if k, n, ok := cutPartKey(raw); ok && !bytes.Equal(partKey(nil, k, n)[1:], raw[1:]) {
			t.Errorf("part key %x is read as another", raw)
		}
		cutUploadKey(raw)
		cutOrderedKey(raw)
		cutExpiryKey(raw)
		cutTimedHolderKey(raw)
	})
}

func TestTimesKeepTheirOrder(t *testing.T) {
	times := []time.Time{
		{}, time.UnixMicro(-5).UTC(), time.UnixMicro(0).UTC(), time.UnixMicro(1).UTC(), time.UnixMicro(1795000000000000).UTC(),
	}
	var last []byte
	for i, at := range times {
		key := timedHolderKey(nil, spaceDead, at, block.Holder{byte(9 - i)})
		if bytes.Compare(last, key) >= 0 {
			t.Errorf("the key of %v is not after the one before", at)
		}
		if got, h, ok := cutTimedHolderKey(key); !ok || !got.Equal(at) || h != (block.Holder{byte(9 - i)}) {
			t.Errorf("%v came back as %v", at, got)
		}
		if end := timeAfter(spaceDead, at); bytes.Compare(key, end) >= 0 {
			t.Errorf("the key of %v is not before the end of its time", at)
		}
		last = key
	}
	d := meta.DueVersion{Container: naming.ContainerID{3}, Name: "n\x00m", ID: 77, Expires: times[4]}
	if got, ok := cutExpiryKey(expiryKey(nil, d.Expires, d.Container, d.ID, d.Name)); !ok || got != d {
		t.Errorf("expiry key came back as %+v", got)
	}
}
