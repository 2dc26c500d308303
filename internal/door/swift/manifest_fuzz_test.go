package swift

import (
	"testing"

	"pithos/internal/backend"
)

// FuzzManifest holds what is read of any manifest to its limits: ranges lie inside an object of any size, and an entry is a range of an object or bytes.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"path":"/c/o"}]`, `[{"path":"c/o","etag":null,"size_bytes":"3","range":"-2"}]`, `[{"data":"QUJD"},{"path":"/c/o","range":"1-"}]`,
		`{"path":"c/o"}`, `[{"path":1}]`, `[{"path":"/c/o","range":"1-2,4-5"}]`, `[{"data":"="}]`, `[null]`, `[{"path":"/c/o","size_bytes":1e99}]`,
	} {
		f.Add([]byte(seed), int64(10))
	}
	self := backend.Target{Container: backend.Ref{Account: "a", Name: "c"}, Name: "self"}
	f.Fuzz(func(t *testing.T, raw []byte, size int64) {
		entries, err := parseManifest(raw, self)
		if err != nil {
			if f := faultOf(err); f.status != 400 && f.status != 413 {
				t.Fatalf("status %d", f.status)
			}
			return
		}
		for i := range entries {
			e := &entries[i]
			if (e.data == nil) == (e.place.Name == "") {
				t.Fatalf("entry %d is neither bytes nor an object: %+v", i, e)
			}
			if size < 0 || e.data != nil {
				continue
			}
			if off, n := e.resolve(size); off < 0 || n < 0 || off+n > size {
				t.Fatalf("range [%d, +%d) of %d bytes", off, n, size)
			}
		}
	})
}
