package crash_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"pithos/test/service"
	"pithos/test/thin"
)

const (
	bucket     = "crash"
	versioned  = "versions"
	keysEach   = 24 // names of one worker
	partSize   = 5 << 20
	partsMax   = 3
	versionMax = 200 // versions that one worker remembers
	requestMax = 60 * time.Second
)

// sizes cover an empty object, what lies inside of metadata, what lies in packs, several blocks, and odd edges between.
var sizes = []int{0, 1, 100, 4 << 10, 4<<10 + 1, 40_000, 64 << 10, 64<<10 + 1, 300_000, 1 << 20, 4 << 20, 4<<20 + 1, 9_000_000}

// content is bytes that follow from a number; the same number gives the same bytes again.
type content struct {
	number uint64
	size   int
}

func (c content) bytes() []byte {
	source := rand.NewPCG(c.number, 1)
	b := make([]byte, c.size, c.size+8)
	for at := 0; at < c.size; at += 8 {
		binary.LittleEndian.PutUint64(b[at:at+8:c.size+8], source.Uint64())
	}
	return b
}

// state is an object, or its absence.
type state struct {
	exists bool
	size   int
	sum    [sha256.Size]byte
}

func stateOf(body []byte) state { return state{true, len(body), sha256.Sum256(body)} }

func (s state) String() string {
	if !s.exists {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes, sha256 %x", s.size, s.sum[:4])
}

// entry is what is known about a name: what the last answer said, and what a request without an answer may have done.
type entry struct {
	sure  state
	maybe *state
}

// upload is a multipart upload under way. It survives kills.
type upload struct {
	name, id string
	parts    []content
	etags    []string
	want     int // parts before completion
}

type version struct {
	name, id string
	state    state
}

type counts struct {
	answered, unanswered, puts, deletes, copies, parts, completions, versions, verified int
	bytes                                                                               int64
}

func (c *counts) add(o counts) {
	c.answered += o.answered
	c.unanswered += o.unanswered
	c.puts += o.puts
	c.deletes += o.deletes
	c.copies += o.copies
	c.parts += o.parts
	c.completions += o.completions
	c.versions += o.versions
	c.verified += o.verified
	c.bytes += o.bytes
}

func (c *counts) String() string {
	return fmt.Sprintf("%d requests answered (%d puts, %d deletes, %d copies, %d parts, %d completions, %d versions; %d MB written), %d under way when killed, %d times an object was read back and compared",
		c.answered, c.puts, c.deletes, c.copies, c.parts, c.completions, c.versions, c.bytes/1e6, c.unanswered, c.verified)
}

// worker is one client with names of its own, so that it knows what each must hold.
type worker struct {
	counts

	t        *testing.T
	s        *service.Service
	number   int
	random   *rand.Rand
	client   *thin.Client
	names    []string
	entries  map[string]*entry
	upload   *upload
	versions []version
	stopping bool // the process is asked to end: it may refuse, and what it refuses must not be seen
	refused  int
}

func newWorkers(t *testing.T, s *service.Service) []*worker {
	t.Helper()
	c := s.Client(requestMax)
	defer c.Close()
	const on = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`
	for _, r := range []thin.Request{
		{Method: "PUT", Path: "/" + bucket},
		{Method: "PUT", Path: "/" + versioned},
		{Method: "PUT", Path: "/" + versioned, Query: "versioning=", Body: []byte(on)},
	} {
		if answer, err := c.Do(&r, nil); err != nil || !answer.OK() {
			t.Fatalf("%s %s: %v %v", r.Method, r.Path, err, answer.Err())
		}
	}
	workers := make([]*worker, *clients)
	for i := range workers {
		w := &worker{t: t, s: s, number: i, random: rand.New(rand.NewPCG(*seed, uint64(i)+1)), entries: map[string]*entry{}}
		for k := range keysEach {
			name := fmt.Sprintf("w%02d/%s%02d", i, []string{"", "deep/", "deep/er/"}[k%3], k)
			w.names = append(w.names, name)
			w.entries[name] = &entry{}
		}
		workers[i] = w
	}
	return workers
}

// work makes requests until one gets no answer, which is when the process was killed.
func (w *worker) work() {
	w.client = w.s.Client(requestMax)
	defer w.client.Close()
	for w.step() {
		w.answered++
	}
	w.unanswered++
}

// step makes one request; false: there was no answer, or one that must not be.
func (w *worker) step() bool {
	switch n := w.random.IntN(100); {
	case n < 48:
		return w.put()
	case n < 62:
		return w.delete()
	case n < 72:
		return w.copy()
	case n < 84:
		return w.advance()
	case n < 92:
		return w.putVersion()
	default:
		return w.get(w.pick())
	}
}

func (w *worker) pick() string { return w.names[w.random.IntN(len(w.names))] }

// draw makes content; now and then one that was stored before, so that objects share blocks.
func (w *worker) draw(size int) content {
	if w.random.IntN(8) == 0 {
		return content{uint64(w.random.IntN(3)), size}
	}
	return content{w.random.Uint64(), size}
}

// request sends r; ok means a success.
func (w *worker) request(r *thin.Request) (answer thin.Response, ok bool) {
	answer, err := w.client.Do(r, nil)
	if err != nil {
		return answer, false
	}
	if w.stopping && answer.Status == http.StatusServiceUnavailable {
		w.refused++
		return answer, false
	}
	if !answer.OK() {
		w.t.Errorf("%s %s?%s: %v", r.Method, r.Path, r.Query, answer.Err())
		return answer, false
	}
	return answer, true
}

// change sends r, which turns the name into the new state, and notes what is known afterwards.
func (w *worker) change(name string, to state, r *thin.Request) bool {
	e := w.entries[name]
	e.maybe = &to
	if answer, ok := w.request(r); !ok {
		if answer.Status == http.StatusServiceUnavailable {
			e.maybe = nil // it said no
		}
		return false
	}
	e.sure, e.maybe = to, nil
	return true
}

// encryption has some objects encrypted.
func (w *worker) encryption() []thin.Header {
	if w.random.IntN(3) > 0 {
		return nil
	}
	return []thin.Header{{Name: "x-amz-server-side-encryption", Value: "AES256"}}
}

func path(bucket, name string) string { return "/" + bucket + "/" + thin.Escape(name, true) }

func (w *worker) put() bool {
	name, body := w.pick(), w.draw(sizes[w.random.IntN(len(sizes))]).bytes()
	r := thin.Request{Method: "PUT", Path: path(bucket, name), Body: body, Headers: w.encryption()}
	if w.random.IntN(2) == 0 {
		r.Payload = thin.Unsigned
	}
	if !w.change(name, stateOf(body), &r) {
		return false
	}
	w.puts++
	w.bytes += int64(len(body))
	return true
}

func (w *worker) delete() bool {
	name := w.pick()
	if !w.change(name, state{}, &thin.Request{Method: "DELETE", Path: path(bucket, name)}) {
		return false
	}
	w.deletes++
	return true
}

func (w *worker) copy() bool {
	from, to := w.pick(), w.pick()
	source := w.entries[from].sure
	if !source.exists || from == to {
		return w.put()
	}
	r := thin.Request{Method: "PUT", Path: path(bucket, to), Headers: append(w.encryption(), thin.Header{Name: "x-amz-copy-source", Value: path(bucket, from)})}
	if !w.change(to, source, &r) {
		return false
	}
	w.copies++
	return true
}

func (w *worker) putVersion() bool {
	name, body := fmt.Sprintf("w%02d/%d", w.number, w.random.IntN(4)), w.draw(sizes[w.random.IntN(8)]).bytes()
	answer, ok := w.request(&thin.Request{Method: "PUT", Path: path(versioned, name), Body: body, Payload: thin.Unsigned})
	if !ok {
		return false
	}
	if answer.Version == "" {
		w.t.Errorf("PUT of %s gave no version", name)
		return false
	}
	w.counts.versions++
	w.bytes += int64(len(body))
	if v := (version{name, answer.Version, stateOf(body)}); len(w.versions) < versionMax {
		w.versions = append(w.versions, v)
	} else {
		w.versions[w.random.IntN(versionMax)] = v
	}
	return true
}

// advance does the next step of the worker's multipart upload.
func (w *worker) advance() bool {
	switch u := w.upload; {
	case u == nil:
		return w.begin()
	case len(u.parts) < u.want:
		return w.part(u)
	default:
		return w.complete(u)
	}
}

func (w *worker) begin() bool {
	name := w.pick()
	answer, ok := w.request(&thin.Request{Method: "POST", Path: path(bucket, name), Query: "uploads=", Headers: w.encryption()})
	if !ok {
		return false
	}
	var began struct {
		ID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(answer.Body, &began); err != nil || began.ID == "" {
		w.t.Errorf("begin an upload: %v: %s", err, answer.Body)
		return false
	}
	w.upload = &upload{name: name, id: began.ID, want: 1 + w.random.IntN(partsMax)}
	return true
}

func (w *worker) part(u *upload) bool {
	size := partSize
	if len(u.parts)+1 == u.want {
		size = 1 + w.random.IntN(partSize) // the last may be small
	}
	part := w.draw(size)
	body := part.bytes()
	query := fmt.Sprintf("partNumber=%d&uploadId=%s", len(u.parts)+1, thin.Escape(u.id, false))
	answer, ok := w.request(&thin.Request{Method: "PUT", Path: path(bucket, u.name), Query: query, Body: body, Payload: thin.Unsigned})
	if !ok {
		return false
	}
	u.parts, u.etags = append(u.parts, part), append(u.etags, answer.ETag)
	w.parts++
	w.bytes += int64(len(body))
	return true
}

func (w *worker) complete(u *upload) bool {
	var whole []byte
	var list strings.Builder
	list.WriteString("<CompleteMultipartUpload>")
	for i, part := range u.parts {
		whole = append(whole, part.bytes()...)
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i+1, u.etags[i])
	}
	list.WriteString("</CompleteMultipartUpload>")
	w.upload = nil // whatever happens: without an answer it may be complete
	r := thin.Request{Method: "POST", Path: path(bucket, u.name), Query: "uploadId=" + thin.Escape(u.id, false), Body: []byte(list.String())}
	if !w.change(u.name, stateOf(whole), &r) {
		return false
	}
	w.completions++
	return true
}

// fetch reads an object; a missing one is a state too.
func (w *worker) fetch(path, query string) (state, bool) {
	hash := sha256.New()
	got := state{exists: true}
	answer, err := w.client.Do(&thin.Request{Method: "GET", Path: path, Query: query}, func(b []byte) {
		hash.Write(b)
		got.size += len(b)
	})
	switch {
	case err != nil:
		return state{}, false
	case answer.Status == http.StatusNotFound:
		return state{}, true
	case w.stopping && answer.Status == http.StatusServiceUnavailable:
		return state{}, false
	case !answer.OK():
		w.t.Errorf("GET %s: %v", path, answer.Err())
		return state{}, false
	}
	hash.Sum(got.sum[:0])
	return got, true
}

func (w *worker) get(name string) bool {
	got, ok := w.fetch(path(bucket, name), "")
	if ok && got != w.entries[name].sure {
		w.t.Errorf("%s is %v, was answered as %v", name, got, w.entries[name].sure)
	}
	return ok
}

// verify compares all that the worker knows with what is stored, and settles what was open.
func (w *worker) verify() {
	w.client = w.s.Client(requestMax)
	defer w.client.Close()
	for name, e := range w.entries {
		got, ok := w.fetch(path(bucket, name), "")
		switch {
		case !ok:
			w.t.Errorf("GET %s got no answer", name)
			return
		case got == e.sure, e.maybe != nil && got == *e.maybe:
			e.sure, e.maybe = got, nil
			w.verified++
		case e.maybe != nil:
			w.t.Errorf("%s is %v, must be %v or %v", name, got, e.sure, *e.maybe)
		default:
			w.t.Errorf("%s is %v, must be %v", name, got, e.sure)
		}
	}
	for _, v := range w.versions {
		got, ok := w.fetch(path(versioned, v.name), "versionId="+thin.Escape(v.id, false))
		if !ok || got != v.state {
			w.t.Errorf("%s version %s is %v, must be %v", v.name, v.id, got, v.state)
			return
		}
		w.verified++
	}
}

// list returns all names of a bucket, in order, by pages.
func list(c *thin.Client, bucket string) ([]string, error) {
	var names []string
	token := ""
	for {
		query := "list-type=2&max-keys=37"
		if token != "" {
			query = "continuation-token=" + thin.Escape(token, false) + "&" + query
		}
		answer, err := c.Do(&thin.Request{Method: "GET", Path: "/" + bucket, Query: query}, nil)
		if err != nil {
			return nil, err
		}
		if err := answer.Err(); err != nil {
			return nil, err
		}
		var page struct {
			Contents []struct{ Key string }
			Next     string `xml:"NextContinuationToken"`
		}
		if err := xml.Unmarshal(answer.Body, &page); err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			names = append(names, object.Key)
		}
		if token = page.Next; token == "" {
			return names, nil
		}
	}
}
