package s3

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRowsAreConsistent(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.op] {
			t.Errorf("%s has two rows", r.op)
		}
		seen[r.op] = true
		if (r.state == served) != (r.handle != nil) {
			t.Errorf("%s: state %s and handler %t contradict each other", r.op, r.state, r.handle != nil)
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d operations have a row, the S3 API has more than 100", len(seen))
	}
}

// Every row is found by a request that carries exactly what it asks for.
func TestEachRowIsFound(t *testing.T) {
	d := New(nil, Options{})
	for _, r := range rows() {
		path := [...]string{"/", "/bucket", "/bucket/key"}[r.level]
		req := httptest.NewRequest(r.method, path+"?"+strings.ReplaceAll(r.marker, "&", "=1&"), nil)
		if r.header != "" {
			req.Header.Set(r.header, "x")
		}
		c := &call{door: d, r: req, header: req.Header}
		if err := d.parse(c); err != nil {
			t.Fatalf("%s: %v", r.op, err)
		}
		if found, err := d.table.find(c); err != nil || found.op != r.op {
			t.Errorf("%s: found %v, %v", r.op, found, err)
		}
	}
}

func TestUnknownIsRefusedByName(t *testing.T) {
	d := New(nil, Options{})
	for _, tc := range []struct{ method, target, header, want string }{
		{"PUT", "/bucket/key?frobnicate", "", "frobnicate"},
		{"GET", "/bucket/key?acl&tagging", "", "tagging"},
		{"DELETE", "/bucket?nonsense=1", "", "nonsense"},
		{"GET", "/bucket/key?partNumber=1&uploads", "", "uploads"},
		{"PUT", "/bucket?website", "", "PutBucketWebsite"},
	} {
		rec := httptest.NewRecorder()
		d.ServeHTTP(rec, httptest.NewRequest(tc.method, tc.target, nil))
		if rec.Code != http.StatusNotImplemented || !strings.Contains(rec.Body.String(), "<Code>NotImplemented</Code>") {
			t.Errorf("%s %s: %d %s", tc.method, tc.target, rec.Code, rec.Body)
		}
	}
}
