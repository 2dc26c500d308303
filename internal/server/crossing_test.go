package server_test

import (
	"bytes"
	"crypto/md5" // ETags
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
)

var (
	crossSeed  = flag.Uint64("crossseed", 0, "seed of the operations through two doors; 0: drawn")
	crossSteps = flag.Int("crosssteps", 250, "operations through two doors")
)

// crossed is a version as the model knows it.
type crossed struct {
	body, kind, shade string // bytes, content type, a user's metadata
	etag              string // of the bytes; "" where each door has its own form
	marker            bool
	null              bool
}

// crossing runs random operations through S3 and Swift on one container, "cross", beside a model of it.
type crossing struct {
	*doors
	rng       *rand.Rand
	versioned bool
	model     map[string][]crossed // newest first; no entry for what never was
	trace     []string
}

// do sends a request through a door as the administrator and returns the whole answer.
func (x *crossing) do(door, method, target, body string, headers ...string) (int, http.Header, string) {
	x.t.Helper()
	return x.as("own:admin", door, method, target, body, headers...)
}

func (x *crossing) as(who, door, method, target, body string, headers ...string) (int, http.Header, string) {
	x.t.Helper()
	var req *http.Request
	if door == "S3" {
		target = "/" + target
		req = x.request(x.s3, method, target, body, headers...)
		if s := x.signers[who]; s != nil {
			s.SignV4(&sigv4.Request{Method: method, Target: target, Host: req.URL.Host, Header: req.Header, ContentLength: int64(len(body))}, "UNSIGNED-PAYLOAD", time.Now())
		}
	} else {
		req = x.request(x.swift, method, "/v1/AUTH_own/"+target, body, headers...)
		if who != "" {
			req.Header.Set("X-Auth-Token", who)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(raw)
}

// must is do for what has to succeed.
func (x *crossing) must(door, method, target, body string, headers ...string) (http.Header, string) {
	x.t.Helper()
	status, h, text := x.do(door, method, target, body, headers...)
	if status >= 300 {
		x.fail("%s %s %s: %d %s", door, method, target, status, text)
	}
	return h, text
}

func (x *crossing) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, args...), strings.Join(x.trace, "\n"))
}

func (x *crossing) door() string { return []string{"S3", "Swift"}[x.rng.IntN(2)] }

func (x *crossing) name() string {
	return []string{"a", "a/b", "a/c", "b é", "d+e", "f%g"}[x.rng.IntN(6)]
}

func (x *crossing) bytes() string {
	b := make([]byte, x.rng.IntN(40))
	for i := range b {
		b[i] = byte('a' + x.rng.IntN(26))
	}
	return string(b)
}

func at(name string) string { return "cross/" + (&url.URL{Path: name}).EscapedPath() }

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// write enters a version into the model.
func (x *crossing) write(name string, v crossed) {
	list := x.model[name]
	if !x.versioned {
		v.null, list = true, nil
	}
	x.model[name] = append([]crossed{v}, list...)
}

// current is what a name shows; nil: nothing.
func (x *crossing) current(name string) *crossed {
	if list := x.model[name]; len(list) > 0 && !list[0].marker {
		return &list[0]
	}
	return nil
}

// step does one thing through one door, and enters it into the model.
func (x *crossing) step() {
	door, name := x.door(), x.name()
	op := []string{"put", "put", "put", "delete", "copy", "parts", "large", "remove"}[x.rng.IntN(8)]
	x.trace = append(x.trace, fmt.Sprintf("%s %s %q", door, op, name))
	switch op {
	case "put":
		v := crossed{body: x.bytes(), kind: []string{"text/plain", "image/x"}[x.rng.IntN(2)], shade: []string{"dark", "light"}[x.rng.IntN(2)]}
		v.etag = md5Of(v.body)
		meta := map[string]string{"S3": "x-amz-meta-shade", "Swift": "X-Object-Meta-Shade"}[door]
		x.must(door, "PUT", at(name), v.body, "Content-Type", v.kind, meta, v.shade)
		x.write(name, v)
	case "delete":
		status, _, text := x.do(door, "DELETE", at(name), "")
		was := x.current(name) != nil
		if door == "S3" && status != http.StatusNoContent || door == "Swift" && was && status != http.StatusNoContent || status >= 500 {
			x.fail("delete: %d %s", status, text)
		}
		switch {
		case !x.versioned:
			delete(x.model, name)
		case door == "S3" || status == http.StatusNoContent || status == http.StatusNotFound:
			x.write(name, crossed{marker: true})
		}
	case "copy":
		x.copy(door, name)
	case "parts", "large":
		x.join(op, name)
	case "remove":
		x.remove(door, name)
	}
}

func (x *crossing) copy(door, name string) {
	source := x.name()
	v := x.current(source)
	if v == nil || source == name {
		return
	}
	if door == "S3" {
		x.must(door, "PUT", at(name), "", "x-amz-copy-source", "/"+at(source))
	} else {
		x.must(door, "COPY", at(source), "", "Destination", at(name))
	}
	made := *v
	made.null = false
	if made.etag == "" {
		made.etag = "?"
	}
	x.write(name, made)
}

// join makes an object of parts: S3's upload, or Swift's static large object.
func (x *crossing) join(op, name string) {
	first, second := x.bytes()+"1", x.bytes()+"2"
	v := crossed{body: first + second, kind: "text/joined", shade: "joined"}
	if op == "parts" {
		_, doc := x.must("S3", "POST", at(name)+"?uploads", "", "Content-Type", v.kind, "x-amz-meta-shade", v.shade)
		_, rest, _ := strings.Cut(doc, "<UploadId>")
		id, _, _ := strings.Cut(rest, "</UploadId>")
		id = url.QueryEscape(id)
		list := ""
		for i, part := range []string{first, second} {
			x.must("S3", "PUT", fmt.Sprintf("%s?partNumber=%d&uploadId=%s", at(name), i+1, id), part)
			list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, md5Of(part))
		}
		x.must("S3", "POST", at(name)+"?uploadId="+id, "<CompleteMultipartUpload>"+list+"</CompleteMultipartUpload>")
	} else {
		x.must("Swift", "PUT", "segments", "")
		var list []map[string]string
		for i, part := range []string{first, second} {
			segment := fmt.Sprintf("segments/%d-%d", len(x.trace), i)
			x.must("Swift", "PUT", segment, part)
			list = append(list, map[string]string{"path": "/" + segment})
		}
		manifest, _ := json.Marshal(list)
		x.must("Swift", "PUT", at(name)+"?multipart-manifest=put", string(manifest), "Content-Type", v.kind, "X-Object-Meta-Shade", v.shade)
	}
	x.write(name, v)
}

// remove takes one version away by its id at S3; the one below the newest comes up.
func (x *crossing) remove(door, name string) {
	list := x.model[name]
	if !x.versioned || len(list) < 2 {
		return
	}
	i := 1 + x.rng.IntN(len(list)-1)
	if door == "S3" {
		i = x.rng.IntN(len(list))
	}
	id := x.s3Versions()[name][i].ID
	if door == "Swift" {
		ids := x.swiftVersions()[name]
		if len(ids) != len(list) {
			x.fail("Swift lists %d versions of %q, want %d", len(ids), name, len(list))
		}
		id = ids[i].ID
		x.must(door, "DELETE", at(name)+"?version-id="+id, "")
	} else {
		x.must(door, "DELETE", at(name)+"?versionId="+id, "")
	}
	x.model[name] = slices.Delete(slices.Clone(list), i, i+1)
}

// listed is an entry of a listing of either door.
type listed struct {
	Name, ID, ETag string
	Size           int64
	Latest, Marker bool
}

func (x *crossing) s3Versions() map[string][]listed {
	_, text := x.must("S3", "GET", "cross?versions", "")
	found := map[string][]listed{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			x.fail("%v in %s", err, text)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "Version" && start.Name.Local != "DeleteMarker" {
			continue
		}
		var e struct {
			Key       string
			VersionID string `xml:"VersionId"`
			ETag      string
			Size      int64
			IsLatest  bool
		}
		if err := d.DecodeElement(&e, &start); err != nil {
			x.fail("%v in %s", err, text)
		}
		found[e.Key] = append(found[e.Key], listed{e.Key, e.VersionID, strings.Trim(e.ETag, `"`), e.Size, e.IsLatest, start.Name.Local == "DeleteMarker"})
	}
}

func (x *crossing) swiftVersions() map[string][]listed {
	_, text := x.must("Swift", "GET", "cross?versions&format=json", "")
	found := map[string][]listed{}
	for _, e := range x.swiftEntries(text) {
		found[e.Name] = append(found[e.Name], e)
	}
	return found
}

func (x *crossing) swiftEntries(text string) (found []listed) {
	var list []struct {
		Name    string `json:"name"`
		Hash    string `json:"hash"`
		Bytes   int64  `json:"bytes"`
		Version string `json:"version_id"`
		Type    string `json:"content_type"`
		SLO     string `json:"slo_etag"`
		Latest  bool   `json:"is_latest"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		x.fail("%v in %s", err, text)
	}
	for _, e := range list {
		if e.SLO != "" {
			e.Hash = ""
		}
		found = append(found, listed{e.Name, e.Version, e.Hash, e.Bytes, e.Latest, strings.HasPrefix(e.Type, "application/x-deleted")})
	}
	return found
}

// check compares both doors with the model: an object, a range of it, all listings, all versions.
func (x *crossing) check() {
	x.checkObject(x.name())
	var want []string
	for name := range x.model {
		if x.current(name) != nil {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	_, text := x.must("Swift", "GET", "cross?format=json", "")
	entries := x.swiftEntries(text)
	_, doc := x.must("S3", "GET", "cross?list-type=2", "")
	var s3 struct {
		Contents []struct {
			Key, ETag string
			Size      int64
		}
	}
	if err := xml.Unmarshal([]byte(doc), &s3); err != nil {
		x.fail("%v in %s", err, doc)
	}
	if len(entries) != len(want) || len(s3.Contents) != len(want) {
		x.fail("listings: want %q\nSwift: %s\nS3: %s", want, text, doc)
	}
	for i, name := range want {
		v, a, b := x.current(name), entries[i], s3.Contents[i]
		if a.Name != name || b.Key != name || a.Size != int64(len(v.body)) || b.Size != a.Size || a.ETag != "" && a.ETag != strings.Trim(b.ETag, `"`) {
			x.fail("entry of %q: Swift %+v, S3 %+v, want %d bytes", name, a, b, len(v.body))
		}
		if v.etag != "" && v.etag != "?" && a.ETag != v.etag {
			x.fail("entry of %q: ETag %q, want %q", name, a.ETag, v.etag)
		}
	}
	if x.versioned {
		x.checkVersions()
	}
}

func (x *crossing) checkObject(name string) {
	v := x.current(name)
	status, h, body := x.do("S3", "GET", at(name), "")
	swiftStatus, swiftHeader, swiftBody := x.do("Swift", "GET", at(name), "")
	if v == nil {
		if status != http.StatusNotFound || swiftStatus != http.StatusNotFound {
			x.fail("%q is gone: S3 %d, Swift %d", name, status, swiftStatus)
		}
		return
	}
	if status != http.StatusOK || swiftStatus != http.StatusOK || body != v.body || swiftBody != v.body {
		x.fail("%q: S3 %d %q, Swift %d %q, want %q", name, status, body, swiftStatus, swiftBody, v.body)
	}
	if h.Get("Content-Type") != v.kind || swiftHeader.Get("Content-Type") != v.kind {
		x.fail("%q: type at S3 %q, at Swift %q, want %q", name, h.Get("Content-Type"), swiftHeader.Get("Content-Type"), v.kind)
	}
	if h.Get("X-Amz-Meta-Shade") != v.shade || swiftHeader.Get("X-Object-Meta-Shade") != v.shade {
		x.fail("%q: metadata at S3 %q, at Swift %q, want %q", name, h.Get("X-Amz-Meta-Shade"), swiftHeader.Get("X-Object-Meta-Shade"), v.shade)
	}
	etag, other := strings.Trim(h.Get("Etag"), `"`), strings.Trim(swiftHeader.Get("Etag"), `"`)
	if v.etag != "" && v.etag != "?" && etag != v.etag || etag != other && strings.TrimSuffix(etag, "-2") != other {
		x.fail("%q: ETag at S3 %q, at Swift %q, want %q", name, etag, other, v.etag)
	}
	if n := len(v.body); n > 2 {
		from := x.rng.IntN(n - 1)
		ranged := fmt.Sprintf("bytes=%d-%d", from, from+x.rng.IntN(n-from))
		_, _, a := x.do("S3", "GET", at(name), "", "Range", ranged)
		_, _, b := x.do("Swift", "GET", at(name), "", "Range", ranged)
		if a != b || !strings.HasPrefix(v.body[from:], a) || a == "" {
			x.fail("%q, %s: S3 %q, Swift %q of %q", name, ranged, a, b, v.body)
		}
	}
}

func (x *crossing) checkVersions() {
	s3, swift := x.s3Versions(), x.swiftVersions()
	for name, want := range x.model {
		a, b := s3[name], swift[name]
		if len(a) != len(want) || len(b) != len(want) {
			x.fail("versions of %q: S3 %+v, Swift %+v, want %+v", name, a, b, want)
		}
		for i, v := range want {
			if a[i].Marker != v.marker || b[i].Marker != v.marker || a[i].Latest != (i == 0) || b[i].Latest != (i == 0) ||
				a[i].Size != int64(len(v.body)) || b[i].Size != a[i].Size || v.null != (a[i].ID == "null") {
				x.fail("version %d of %q: S3 %+v, Swift %+v, want %+v", i, name, a[i], b[i], v)
			}
		}
		if len(want) == 0 {
			continue
		}
		i := x.rng.IntN(len(want))
		if want[i].marker {
			continue
		}
		_, one := x.must("S3", "GET", at(name)+"?versionId="+url.QueryEscape(a[i].ID), "")
		_, two := x.must("Swift", "GET", at(name)+"?version-id="+url.QueryEscape(b[i].ID), "")
		if one != want[i].body || two != want[i].body {
			x.fail("version %d of %q: S3 %q, Swift %q, want %q", i, name, one, two, want[i].body)
		}
	}
}

// permit changes who may read, at a door, and demands that both doors decide alike about everybody.
func (x *crossing) permit() {
	switch x.rng.IntN(5) {
	case 0:
		x.must("Swift", "POST", "cross", "", "X-Container-Read", ".r:*,.rlistings")
	case 1:
		x.must("Swift", "POST", "cross", "", "X-Container-Read", "other:guest", "X-Container-Write", "own:guest")
	case 2:
		x.must("Swift", "POST", "cross", "", "X-Remove-Container-Read", "x", "X-Remove-Container-Write", "x")
	case 3:
		x.must("S3", "PUT", "cross?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::cross"},`+
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::other:user/guest"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::cross/*"}]}`)
		defer x.must("S3", "DELETE", "cross?policy", "")
	case 4:
		x.must("S3", "PUT", "cross?acl", "", "x-amz-acl", "public-read-write")
		defer x.must("S3", "PUT", "cross?acl", "", "x-amz-acl", "private")
	}
	x.trace = append(x.trace, "permit")
	name := x.name()
	if x.current(name) == nil {
		return
	}
	for _, who := range persons {
		for _, target := range []string{at(name), "cross"} {
			a, _, _ := x.as(who, "S3", "GET", target, "")
			b, _, _ := x.as(who, "Swift", "GET", target, "")
			// 409 is Swift's word for a large object whose segments may not be read.
			denied := b == http.StatusForbidden || b == http.StatusUnauthorized || b == http.StatusConflict
			if (a == http.StatusForbidden) != denied || (a < 300) == denied || (b < 300) == denied {
				x.fail("%q reads %s: S3 %d, Swift %d", who, target, a, b)
			}
		}
	}
}

// Whatever is done through one door shows at both, and both decide alike who may: bytes, ETags, metadata, listings, versions, permissions.
func TestOneContainerTwoDoors(t *testing.T) {
	seed := *crossSeed
	if seed == 0 {
		seed = rand.Uint64() >> 16
	}
	t.Logf("seed %d; run it again with -crossseed %d", seed, seed)
	x := &crossing{doors: openDoors(t), rng: rand.New(rand.NewPCG(seed, 0)), model: map[string][]crossed{}}
	x.must([]string{"S3", "Swift"}[x.rng.IntN(2)], "PUT", "cross", "")
	for i := range *crossSteps {
		if i == *crossSteps/3 {
			if x.versioned = true; x.rng.IntN(2) == 0 {
				x.must("S3", "PUT", "cross?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
			} else {
				x.must("Swift", "POST", "cross", "", "X-Versions-Enabled", "true")
			}
			x.trace = append(x.trace, "versions from here on")
		}
		x.step()
		x.check()
		if i%10 == 9 {
			x.permit()
		}
	}
	if len(x.trace) < *crossSteps || bytes.Count([]byte(strings.Join(x.trace, "\n")), []byte("put")) == 0 {
		t.Error("hardly anything was done")
	}
}
