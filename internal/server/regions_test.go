package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/door/wire/sigv4"
	"pithos/internal/engine/memory"
	"pithos/internal/engine/regions"
	"pithos/internal/server"
	"pithos/internal/store/meta"
)

// regional is an engine whose metastore has a further region.
type regional struct {
	server.Engine
	meta meta.Store
}

func (r regional) Meta() meta.Store { return r.meta }

// openRegional opens the data directory and keeps the metadata of the region north in memory.
func openRegional(ctx context.Context, dir string, log *slog.Logger, c clock.Clock) (server.Engine, error) {
	e, err := server.OpenEmbedded(nil)(ctx, dir, log, c)
	if err != nil {
		return nil, err
	}
	m, err := regions.New([]regions.Region{{Name: "us-east-1", Store: e.Meta()}, {Name: "north", Store: memory.New(c).Meta()}}, log)
	return regional{e, m}, err
}

// TestBucketsOfTwoRegions makes buckets in two regions and asks for both in S3's ways.
func TestBucketsOfTwoRegions(t *testing.T) {
	r := startOn(t, filepath.Join(t.TempDir(), "data"), openRegional, nil)
	key, secret := r.Credentials.AccessKey, r.Credentials.Secret
	located := func(region string) string {
		return `<CreateBucketConfiguration><LocationConstraint>` + region + `</LocationConstraint></CreateBucketConfiguration>`
	}
	r.ask(t, key, secret, http.MethodPut, "/here", "", http.StatusOK)
	r.ask(t, key, secret, http.MethodPut, "/there", located("north"), http.StatusOK)
	r.ask(t, key, secret, http.MethodPut, "/there", located("north"), http.StatusOK)
	if text := r.ask(t, key, secret, http.MethodPut, "/here", located("north"), http.StatusConflict); !strings.Contains(text, "BucketAlreadyExists") {
		t.Error(text)
	}
	if text := r.ask(t, key, secret, http.MethodPut, "/nowhere", located("south"), http.StatusBadRequest); !strings.Contains(text, "IllegalLocationConstraintException") {
		t.Error(text)
	}
	if text := r.ask(t, key, secret, http.MethodGet, "/there?location", "", http.StatusOK); !strings.Contains(text, ">north</LocationConstraint>") {
		t.Error(text)
	}
	if text := r.ask(t, key, secret, http.MethodGet, "/?bucket-region=north", "", http.StatusOK); strings.Count(text, "<Bucket>") != 1 || !strings.Contains(text, "<BucketRegion>north</BucketRegion>") {
		t.Error(text)
	}
	for _, name := range []string{"/here/x", "/there/x"} {
		r.ask(t, key, secret, http.MethodPut, name, "bytes", http.StatusOK)
		if got := r.ask(t, key, secret, http.MethodGet, name, "", http.StatusOK); got != "bytes" {
			t.Errorf("%s: %q", name, got)
		}
	}
	// A client that has learned where the bucket is signs for that region.
	r.Region = "north"
	if got := r.ask(t, key, secret, http.MethodGet, "/there/x", "", http.StatusOK); got != "bytes" {
		t.Errorf("%q", got)
	}
	r.Region = "south"
	if text := r.ask(t, key, secret, http.MethodGet, "/there/x", "", http.StatusBadRequest); !strings.Contains(text, "<Region>us-east-1</Region>") {
		t.Error(text)
	}
	r.Region = "us-east-1"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, r.S3+"/there", nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := &sigv4.Signer{AccessKey: key, Secret: secret, Region: r.Region}
	signer.SignV4(&sigv4.Request{Method: http.MethodHead, Target: "/there", Host: req.URL.Host, Header: req.Header}, "UNSIGNED-PAYLOAD", time.Now())
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("X-Amz-Bucket-Region"); got != "north" {
		t.Errorf("the region of the bucket is %q", got)
	}
	if code, body := get(t, r.Admin+"/readyz"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
}
