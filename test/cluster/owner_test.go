package cluster_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/test/service"
	"pithos/test/thin"
)

const (
	namesEach = 16
	hotBodies = 6 // contents that all workers share, so that their blocks are held by many
	partBytes = 5 << 20
)

// bodySizes cover what lies inside of metadata, one block, several blocks.
var bodySizes = []int{0, 100, 4 << 10, 40_000, 64<<10 + 1, 300_000, 1 << 20, 4<<20 + 1}

// body is bytes that follow from a number.
func body(number uint64, size int) []byte {
	source := rand.NewPCG(number, 1)
	b := make([]byte, size, size+8)
	for at := 0; at < size; at += 8 {
		binary.LittleEndian.PutUint64(b[at:at+8:size+8], source.Uint64())
	}
	return b
}

// state is an object, or its absence.
type state struct {
	exists bool
	size   int
	sum    [sha256.Size]byte
}

func stateOf(b []byte) state { return state{true, len(b), sha256.Sum256(b)} }

func (s state) String() string {
	if !s.exists {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes, sha256 %x", s.size, s.sum[:4])
}

// owner is a client with names of its own: what it was answered, nobody else can change. A name whose change got no answer is retired: whenever the
// change takes effect, if at all, the name has one of the states listed.
type owner struct {
	meter

	t       *testing.T
	g       *gateways
	number  int
	bucket  string
	random  *rand.Rand
	client  *thin.Client
	names   []string
	drawn   int
	known   map[string]state
	retired map[string][]state

	answered, unanswered, verified, listed int
	bytes                                  int64
}

func newOwner(t *testing.T, g *gateways, p *pauses, bucket string, number int) *owner {
	o := &owner{
		meter: meter{p: p}, t: t, g: g, number: number, bucket: bucket, random: rand.New(rand.NewPCG(*seed, uint64(number)+1)),
		known: map[string]state{}, retired: map[string][]state{},
	}
	for range namesEach {
		o.names = append(o.names, o.fresh())
	}
	return o
}

func (o *owner) fresh() string {
	o.drawn++
	return fmt.Sprintf("%s%s%04d", o.prefix(), []string{"", "deep/", "deep/er/"}[o.drawn%3], o.drawn)
}

func (o *owner) prefix() string { return fmt.Sprintf("o%02d/", o.number) }

func (o *owner) path(name string) string { return "/" + o.bucket + "/" + thin.Escape(name, true) }

// work makes requests until stop is closed.
func (o *owner) work(stop <-chan struct{}, pace time.Duration) {
	o.client = o.g.client(service.Admin)
	defer func() { o.client.Close() }()
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !o.step() {
			o.unanswered++
			o.client.Close()
			o.client = o.g.client(service.Admin) // another gateway, where no balancer chooses
			if clock.Wait(o.t.Context(), 100*time.Millisecond) != nil {
				return
			}
			continue
		}
		o.answered++
		o.success()
		if clock.Wait(o.t.Context(), pace) != nil {
			return
		}
	}
}

// step makes one request, or a few that belong together; false: one got no success.
func (o *owner) step() bool {
	at := o.random.IntN(len(o.names))
	name := o.names[at]
	switch n := o.random.IntN(100); {
	case n < 34:
		b := o.draw()
		return o.change(at, stateOf(b), &thin.Request{Method: "PUT", Path: o.path(name), Body: b, Payload: thin.Unsigned})
	case n < 44:
		return o.change(at, state{}, &thin.Request{Method: "DELETE", Path: o.path(name)})
	case n < 54:
		from := o.names[o.random.IntN(len(o.names))]
		if !o.known[from].exists || from == name {
			return o.read(name)
		}
		copied := thin.Header{Name: "x-amz-copy-source", Value: o.path(from)}
		return o.change(at, o.known[from], &thin.Request{Method: "PUT", Path: o.path(name), Headers: []thin.Header{copied}})
	case n < 58:
		return o.multipart(at)
	case n < 66:
		return o.list()
	default:
		return o.read(name)
	}
}

func (o *owner) draw() []byte {
	number := o.random.Uint64()
	if o.random.IntN(2) == 0 {
		number = uint64(o.random.IntN(hotBodies))
		return body(number, bodySizes[3+number%4])
	}
	return body(number, bodySizes[o.random.IntN(len(bodySizes))])
}

// change sends r, which turns the name into the new state.
func (o *owner) change(at int, to state, r *thin.Request) bool {
	name := o.names[at]
	answer, err := o.client.Do(r, nil)
	switch {
	case err == nil && answer.OK():
		o.known[name] = to
		o.bytes += int64(len(r.Body))
		return true
	case err == nil && answer.Status < 500 && !strings.Contains(string(answer.Body), "<Code>RequestTimeout</Code>"): // the body stood still while something was halted
		o.t.Errorf("%s %s %v: %v", r.Method, r.Path, r.Headers, answer.Err())
	}
	o.retired[name] = []state{o.known[name], to}
	delete(o.known, name)
	o.names[at] = o.fresh()
	return false
}

func (o *owner) multipart(at int) bool {
	name := o.names[at]
	answer, err := o.client.Do(&thin.Request{Method: "POST", Path: o.path(name), Query: "uploads="}, nil)
	if err != nil || !answer.OK() {
		return false
	}
	var began struct {
		ID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(answer.Body, &began); err != nil || began.ID == "" {
		o.t.Errorf("begin an upload: %v: %s", err, answer.Body)
		return false
	}
	parts := [][]byte{body(uint64(o.random.IntN(2)), partBytes), o.draw()}
	var list strings.Builder
	list.WriteString("<CompleteMultipartUpload>")
	for i, p := range parts {
		query := fmt.Sprintf("partNumber=%d&uploadId=%s", i+1, thin.Escape(began.ID, false))
		answer, err := o.client.Do(&thin.Request{Method: "PUT", Path: o.path(name), Query: query, Body: p, Payload: thin.Unsigned}, nil)
		if err != nil || !answer.OK() {
			return false
		}
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i+1, answer.ETag)
	}
	list.WriteString("</CompleteMultipartUpload>")
	r := thin.Request{Method: "POST", Path: o.path(name), Query: "uploadId=" + thin.Escape(began.ID, false), Body: []byte(list.String())}
	return o.change(at, stateOf(slices.Concat(parts...)), &r)
}

// fetch reads an object; a missing one is a state too. ok is false when there was no answer.
func (o *owner) fetch(name string) (state, bool) {
	hash := sha256.New()
	got := state{exists: true}
	answer, err := o.client.Do(&thin.Request{Method: "GET", Path: o.path(name)}, func(b []byte) {
		hash.Write(b)
		got.size += len(b)
	})
	switch {
	case err != nil || answer.Status >= 500 && answer.Status != http.StatusInternalServerError:
		return state{}, false
	case answer.Status == http.StatusNotFound:
		return state{}, true
	case !answer.OK():
		o.t.Errorf("GET %s: %v", name, answer.Err())
		return state{}, false
	}
	hash.Sum(got.sum[:0])
	return got, true
}

func (o *owner) read(name string) bool {
	got, ok := o.fetch(name)
	if ok && got != o.known[name] {
		o.t.Errorf("%s is %v, was answered as %v", name, got, o.known[name])
	}
	if ok {
		o.verified++
	}
	return ok
}

// list compares the listing of the owner's names, as it is now, with what it knows.
func (o *owner) list() bool {
	got, err := listing(o.client, o.bucket, o.prefix())
	if err != nil {
		if refused := new(refusal); errors.As(err, &refused) && refused.status < 500 {
			o.t.Errorf("list: %v", err)
		}
		return false
	}
	o.compare(got)
	o.listed++
	return true
}

func (o *owner) compare(got map[string]int) {
	for name, s := range o.known {
		size, ok := got[name]
		switch {
		case s.exists && !ok:
			o.t.Errorf("the listing lacks %s (%v)", name, s)
		case s.exists && size != s.size:
			o.t.Errorf("the listing gives %s %d bytes, it is %v", name, size, s)
		case !s.exists && ok:
			o.t.Errorf("the listing names %s, which is not there", name)
		}
		delete(got, name)
	}
	for name := range got {
		if _, ok := o.retired[name]; !ok {
			o.t.Errorf("the listing names %s, which never was", name)
		}
	}
}

// verifyAll lets all owners verify.
func verifyAll(all []*owner) []map[string]state {
	found := make([]map[string]state, len(all))
	var group sync.WaitGroup
	for i, o := range all {
		group.Go(func() { found[i] = o.verify() })
	}
	group.Wait()
	return found
}

// verify compares all that the owner knows with what is stored, when nothing is broken any more, and tells what stands.
func (o *owner) verify() map[string]state {
	stands := map[string]state{}
	deadline := time.Now().Add(settleMax)
	settled := func(name string) (state, bool) {
		for {
			o.client.Close()
			o.client = o.g.client(service.Admin)
			got, ok := o.fetch(name)
			if ok {
				o.verified++
				return got, true
			}
			if time.Now().After(deadline) || clock.Wait(o.t.Context(), 200*time.Millisecond) != nil {
				o.t.Errorf("GET %s gets no answer", name)
				return state{}, false
			}
		}
	}
	may := maps.Clone(o.retired)
	for name, want := range o.known {
		may[name] = []state{want}
	}
	for name, want := range may {
		got, ok := settled(name)
		switch {
		case !ok:
			return stands
		case !slices.Contains(want, got):
			o.t.Errorf("in the end %s is %v, must be one of %v", name, got, want)
		case got.exists:
			stands[name] = got
		}
	}
	return stands
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %.300s", r.status, r.text) }

// listing is all names with a prefix and their sizes, by pages, which must come in order.
func listing(c *thin.Client, bucket, prefix string) (map[string]int, error) {
	all := map[string]int{}
	token, last := "", ""
	for {
		query := "list-type=2&max-keys=37&prefix=" + thin.Escape(prefix, false)
		if token != "" {
			query = "continuation-token=" + thin.Escape(token, false) + "&" + query
		}
		answer, err := c.Do(&thin.Request{Method: "GET", Path: "/" + bucket, Query: query}, nil)
		if err != nil {
			return nil, err
		}
		if !answer.OK() {
			return nil, &refusal{answer.Status, string(answer.Body)}
		}
		var page struct {
			Contents []struct {
				Key  string
				Size int
			}
			Next string `xml:"NextContinuationToken"`
		}
		if err := xml.Unmarshal(answer.Body, &page); err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			if object.Key <= last {
				return nil, &refusal{http.StatusOK, fmt.Sprintf("the listing is out of order: %q after %q", object.Key, last)}
			}
			last = object.Key
			all[object.Key] = object.Size
		}
		if token = page.Next; token == "" {
			return all, nil
		}
	}
}
