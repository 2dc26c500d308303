package s3

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/naming"
)

const logged1 = `<BucketLoggingStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LoggingEnabled><TargetBucket>photos</TargetBucket><TargetPrefix>log/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`

func loggingCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetBucketLogging": func(t *testing.T, w *world) {
			if text := string(w.alice.do("GET", "/photos?logging", nil).want(200).body); strings.Contains(text, "Enabled") {
				t.Error(text)
			}
			w.bob.do("GET", "/photos?logging", nil).want(403, "AccessDenied")
			grants := `<TargetGrants><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>canonical-bob</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants>`
			format := `<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>DeliveryTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>`
			w.alice.do("PUT", "/photos?logging", []byte(strings.Replace(logged1, "<TargetPrefix>", grants+format+"<TargetPrefix>", 1))).want(200)
			w.alice.do("GET", "/photos?logging", nil).want(200).
				contains("<TargetBucket>photos</TargetBucket>", "<TargetPrefix>log/</TargetPrefix>", "<ID>canonical-bob</ID>", "<Permission>READ</Permission>", format)
		},
		"PutBucketLogging": func(_ *testing.T, w *world) {
			put := func(old, text string) *answer {
				return w.alice.do("PUT", "/photos?logging", []byte(strings.Replace(logged1, old, text, 1)))
			}
			put("", "").want(200)
			w.alice.do("GET", "/photos?logging", nil).want(200).contains("<TargetPrefix>log/</TargetPrefix>")
			put("<TargetPrefix>log/</TargetPrefix>", "").want(400, "MalformedXML")
			put("<TargetBucket>photos", "<TargetBucket>nowhere").want(400, "InvalidTargetBucketForLogging")
			put("<TargetPrefix>", "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>x</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat><TargetPrefix>").want(400, "MalformedXML")
			w.bob.do("PUT", "/bobs", nil).want(200)
			put("<TargetBucket>photos", "<TargetBucket>bobs").want(400, "InvalidTargetBucketForLogging")
			w.bob.do("PUT", "/photos?logging", []byte(logged1)).want(403, "AccessDenied")
			w.alice.do("PUT", "/photos?logging", []byte("<BucketLoggingStatus/>")).want(200)
			w.alice.do("GET", "/photos?logging", nil).want(200).contains("<BucketLoggingStatus")
		},
	}
}

// kept is an access log that keeps its records.
type kept struct {
	mu    sync.Mutex
	lines []string
}

func (*kept) Wants(context.Context, naming.BucketName) (string, bool) { return "canonical-alice", true }
func (*kept) Changed(naming.BucketName)                               {}

func (k *kept) Add(_ context.Context, _ naming.BucketName, _ time.Time, line string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, line)
}

// lineForm is the form of a record (S3 User Guide, "Amazon S3 server access log format"): 26 fields.
var lineForm = regexp.MustCompile(`^\S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] 127\.0\.0\.1 \S+ [0-9A-F]{16} (\S+) (\S+) "([^"]*)" (\d{3}) (\S+) (\S+) (\S+) \d+ \S+ "[^"]*" "[^"]*" \S+ \S+ (\S+) - (\S+) \S+ - - -$`)

// TestAccessRecords compares the records of some requests with what AWS writes.
func TestAccessRecords(t *testing.T) {
	k := &kept{}
	w := newWorld(t, func(o *Options) { o.AccessLog = k })
	w.alice.do("PUT", "/photos/a%20b", []byte("hello"), "User-Agent", `a "b"`, "Referer", "http://x").want(200)
	w.alice.do("GET", "/photos/a%20b?versionId=null", nil).want(200)
	w.anon.do("GET", "/photos/a%20b", nil).want(403)
	r := &sigv4.Request{Method: "GET", Target: "/photos/a%20b", Host: strings.TrimPrefix(w.srv.URL, "http://"), Header: map[string][]string{}}
	w.alice.signer.PresignV4(r, time.Now(), time.Minute)
	w.anon.do("GET", r.Target, nil).want(200)
	w.alice.do("PUT", "/photos/c", nil, "X-Amz-Copy-Source", "/photos/a%20b").want(200)
	w.alice.do("GET", "/photos?list-type=2&prefix=x", nil).want(200)
	w.alice.do("POST", "/photos?delete", []byte("<Delete><Object><Key>c</Key></Object></Delete>")).want(200)
	w.alice.do("POST", "/photos/m?uploads", nil).want(200)
	w.alice.do("GET", "/photos?acl", nil).want(200)
	w.srv.Close() // records come after answers
	want := []string{
		`REST.PUT.OBJECT a%20b "PUT /photos/a%20b HTTP/1.1" 200 - - 5 SigV4 AuthHeader`,
		`REST.GET.OBJECT a%20b "GET /photos/a%20b?versionId=null HTTP/1.1" 200 - 5 5 SigV4 AuthHeader`,
		`REST.GET.OBJECT a%20b "GET /photos/a%20b HTTP/1.1" 403 AccessDenied N - - -`,
		`REST.GET.OBJECT a%20b "GET /photos/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=D&X-Amz-Expires=60 HTTP/1.1" 200 - 5 5 SigV4 QueryString`,
		`REST.COPY.OBJECT c "PUT /photos/c HTTP/1.1" 200 - N 5 SigV4 AuthHeader`,
		`REST.COPY.OBJECT_GET a%20b "PUT /photos/c HTTP/1.1" 200 - N - SigV4 AuthHeader`,
		`REST.GET.BUCKET - "GET /photos?list-type=2&prefix=x HTTP/1.1" 200 - N - SigV4 AuthHeader`,
		`REST.POST.MULTI_OBJECT_DELETE - "POST /photos?delete HTTP/1.1" 200 - N - SigV4 AuthHeader`,
		`BATCH.DELETE.OBJECT c "POST /photos?delete HTTP/1.1" 204 - N - SigV4 AuthHeader`,
		`REST.POST.UPLOADS m "POST /photos/m?uploads HTTP/1.1" 200 - N - SigV4 AuthHeader`,
		`REST.GET.ACL - "GET /photos?acl HTTP/1.1" 200 - N - SigV4 AuthHeader`,
	}
	date := regexp.MustCompile(`X-Amz-Date=\w+`)
	var got []string
	for _, line := range k.lines {
		f := lineForm.FindStringSubmatch(line)
		if f == nil {
			t.Fatalf("not in the form: %s", line)
		}
		if len(f[6]) > 1 {
			f[6] = "N" // the size of a document
		}
		got = append(got, date.ReplaceAllString(f[1]+" "+f[2]+` "`+f[3]+`" `+strings.Join(f[4:], " "), "X-Amz-Date=D"))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
