package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"pithos/internal/block"
)

// Transfer bounds and watches an upload or download; zero fields take the defaults named.
type Transfer struct {
	Parallel int // blocks on the way at once: 4
	// Progress, if set, is told after each block how many bytes are in place, of how many, and how many went over the network. It is called by one goroutine at
	// a time.
	Progress func(done, total, moved int64)
	// Find, if set, is asked for a block of a download before it is fetched: it gives size bytes that have this name, or nil. It is called by several goroutines.
	Find func(hash string, size int64) []byte
	// Expect demands of a download that the object's root hash is this one; "": nothing. See IsChanged.
	Expect string
}

const (
	parallelDefault = 4
	roundsMax       = 7 // of sending what is missing, as clients of the original try
)

// PutOptions say what an upload makes.
type PutOptions struct {
	Transfer
	ContentType string // "application/octet-stream"
	// IfHash demands that the object's root hash is this one; "*" that there is none; "": nothing. See IsChanged.
	IfHash string
	Meta   map[string]string
	// Blocks are the names of the blocks of src, if they are known: then src is not read to find them. What is sent is compared with them.
	Blocks []string
	// Whole is up to how many bytes a file goes in one request, without the question which blocks are missing: of small files that costs more than it saves. 0: none.
	Whole int64
}

// Report tells what a transfer did.
type Report struct {
	Bytes  int64 // of the object
	Moved  int64 // that went over the network
	Blocks int
	Sent   int    // blocks that went over the network
	Hash   string // root hash

	Version uint64   // of an upload: what it made; 0 if the service did not tell
	UUID    string   // of an upload: the object's; "" if the service did not tell
	Names   []string // of a download: the hashes of the blocks
}

// hashmap is the body of hashmap requests (Pithos+ 7.2, 8.2).
type hashmap struct {
	BlockSize int64    `json:"block_size,omitempty"`
	Bytes     int64    `json:"bytes"`
	Hashes    []string `json:"hashes"`
}

func (h *hashmap) root() (string, error) {
	ids := make([]block.ID, len(h.Hashes))
	for i, text := range h.Hashes {
		var err error
		if ids[i], err = block.ParseID(text); err != nil {
			return "", err
		}
	}
	return block.RootHash(ids).String(), nil
}

// ErrLocalChange says that a file changed while it was read.
var ErrLocalChange = errors.New("the file changed while it was being sent")

// Put uploads size bytes of src as an object: it asks by the hashes which blocks the service lacks and sends only those. The object appears whole or not at all. Broken off and repeated, it sends what is still missing.
//
// Errors: ErrLocalChange when src changed while it was read; those of IsChanged, IsDenied and IsFull.
func (k *Container) Put(ctx context.Context, name string, src io.ReaderAt, size int64, o PutOptions) (Report, error) {
	bs, err := k.BlockSize(ctx)
	if err != nil {
		return Report{}, err
	}
	h := &hashmap{BlockSize: bs, Bytes: size, Hashes: o.Blocks}
	if o.Blocks == nil {
		if h, err = hashFile(ctx, src, size, bs); err != nil {
			return Report{}, err
		}
	} else if int64(len(o.Blocks)) != (size+bs-1)/bs {
		return Report{}, fmt.Errorf("%s: %d blocks are named for %d bytes", name, len(o.Blocks), size)
	}
	u := &upload{k: k, name: name, src: src, h: h, o: o}
	u.report = Report{Bytes: size, Blocks: len(h.Hashes)}
	if u.report.Hash, err = h.root(); err != nil {
		return Report{}, err
	}
	if 0 < size && size <= o.Whole {
		return u.report, u.whole(ctx)
	}
	for range roundsMax {
		missing, err := u.commit(ctx)
		if statusOf(err) == http.StatusNotImplemented { // the container encrypts: it takes no blocks ahead of their object (see docs/api/pithos-plus.md)
			return u.report, u.whole(ctx)
		}
		if err != nil || missing == nil {
			return u.report, err
		}
		if err := u.send(ctx, missing); err != nil {
			return u.report, err
		}
	}
	return u.report, fmt.Errorf("%s: blocks that were sent are missing again and again", name)
}

// HashOf is the root hash that size bytes of src have as an object of the container: that of Entry.Hash.
func (k *Container) HashOf(ctx context.Context, src io.ReaderAt, size int64) (string, error) {
	bs, err := k.BlockSize(ctx)
	if err != nil {
		return "", err
	}
	h, err := hashFile(ctx, src, size, bs)
	if err != nil {
		return "", err
	}
	return h.root()
}

// hashFile names the blocks of a file.
func hashFile(ctx context.Context, src io.ReaderAt, size, blockSize int64) (*hashmap, error) {
	h := &hashmap{BlockSize: blockSize, Bytes: size, Hashes: []string{}}
	buf := make([]byte, min(blockSize, size))
	for off := int64(0); off < size; off += blockSize {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		piece := buf[:min(blockSize, size-off)]
		if err := readAt(src, piece, off); err != nil {
			return nil, err
		}
		h.Hashes = append(h.Hashes, block.Sum(piece).String())
	}
	return h, nil
}

func readAt(src io.ReaderAt, dst []byte, off int64) error {
	n, err := src.ReadAt(dst, off)
	if n == len(dst) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return ErrLocalChange
	}
	return err
}

type upload struct {
	k      *Container
	name   string
	src    io.ReaderAt
	h      *hashmap
	o      PutOptions
	mu     sync.Mutex
	report Report
}

// whole sends the file in one request.
func (u *upload) whole(ctx context.Context) error {
	req, err := u.k.c.request(ctx, http.MethodPut, u.k.path(u.name), io.NewSectionReader(u.src, 0, u.h.Bytes))
	if err != nil {
		return err
	}
	if req.ContentLength = u.h.Bytes; u.h.Bytes == 0 {
		req.Body = http.NoBody
	}
	u.describe(req)
	req.Header.Set("ETag", u.report.Hash)
	res, err := u.k.c.send(req)
	if statusOf(err) == http.StatusUnprocessableEntity { // what came is not what was hashed
		return ErrLocalChange
	}
	if err != nil {
		return err
	}
	drop(res)
	u.made(res.Header)
	u.report.Moved, u.report.Sent = u.h.Bytes, u.report.Blocks
	if u.o.Progress != nil {
		u.o.Progress(u.h.Bytes, u.h.Bytes, u.report.Moved)
	}
	return nil
}

// commit asks for the object to be made; missing are the hashes of blocks that have to be sent first.
func (u *upload) commit(ctx context.Context) (missing []string, err error) {
	raw, err := json.Marshal(u.h)
	if err != nil {
		return nil, err
	}
	req, err := u.k.c.request(ctx, http.MethodPut, u.k.path(u.name)+"?hashmap&format=json", bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	u.describe(req)
	res, err := u.k.c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer drop(res)
	switch {
	case res.StatusCode == http.StatusConflict:
		if err := json.NewDecoder(res.Body).Decode(&missing); err != nil {
			return nil, &Error{Status: res.StatusCode, Name: "conflict", Message: "the service's list of missing blocks is not understood"}
		}
		return missing, nil
	case res.StatusCode >= http.StatusBadRequest:
		return nil, faultOf(res)
	}
	u.made(res.Header)
	return nil, nil
}

// made notes what the service tells of the object that it made.
func (u *upload) made(h http.Header) {
	u.report.Version, _ = strconv.ParseUint(h.Get("X-Object-Version"), 10, 64) // absent is 0
	u.report.UUID = h.Get("X-Object-Uuid")
}

// describe sets what a request says of the object that it makes, and its conditions.
func (u *upload) describe(req *http.Request) {
	req.Header.Set("Content-Type", "application/octet-stream")
	if u.o.ContentType != "" {
		req.Header.Set("Content-Type", u.o.ContentType)
	}
	switch u.o.IfHash {
	case "":
	case "*":
		req.Header.Set("If-None-Match", "*")
	default:
		req.Header.Set("If-Match", u.o.IfHash)
	}
	for key, value := range u.o.Meta {
		req.Header.Set("X-Object-Meta-"+escapeName(key), escapeName(value))
	}
}

// send sends blocks, several at once.
func (u *upload) send(ctx context.Context, missing []string) error {
	place := map[string]int{}
	for i, hash := range u.h.Hashes {
		place[hash] = i
	}
	var indexes []int
	total := int64(0)
	for _, hash := range missing {
		i, ok := place[hash]
		if !ok {
			return fmt.Errorf("%s: the service asks for a block that is not in the file", u.name)
		}
		indexes = append(indexes, i)
		total += u.length(i)
	}
	box, err := u.k.ownBox(ctx)
	if err != nil {
		return err
	}
	done := u.h.Bytes - total
	return each(ctx, u.o.Parallel, indexes, func(ctx context.Context, i int) error {
		data := make([]byte, u.length(i))
		if err := readAt(u.src, data, int64(i)*u.h.BlockSize); err != nil {
			return err
		}
		if block.Sum(data).String() != u.h.Hashes[i] {
			return ErrLocalChange
		}
		if err := box.putBlock(ctx, data, u.h.Hashes[i]); err != nil {
			return err
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.report.Sent++
		u.report.Moved += int64(len(data))
		done += int64(len(data))
		if u.o.Progress != nil {
			u.o.Progress(done, u.h.Bytes, u.report.Moved)
		}
		return nil
	})
}

func (u *upload) length(i int) int64 { return min(u.h.BlockSize, u.h.Bytes-int64(i)*u.h.BlockSize) }

// homeContainer is where clients of Pithos+ keep files unless told otherwise.
const homeContainer = "pithos"

// ownBox is the container that blocks are sent to. Those of an object in somebody else's container go to one of the user's own: possession is judged by who
// sends (Pithos+ 6.3).
func (k *Container) ownBox(ctx context.Context) (*Container, error) {
	if k.c.account == k.c.home {
		return k, nil
	}
	own := k.c.Of(k.c.home).Container(homeContainer)
	return own, own.Create(ctx)
}

// putBlock sends a loose block.
func (k *Container) putBlock(ctx context.Context, data []byte, hash string) error {
	req, err := k.c.request(ctx, http.MethodPost, k.path("")+"?update&format=json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	res, err := k.c.send(req)
	if err != nil {
		return err
	}
	defer drop(res)
	var got []string
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || !slices.Equal(got, []string{hash}) {
		return fmt.Errorf("a block arrived as %v, not as %s", got, hash)
	}
	return nil
}

// Target is what a download writes to: a file. What it has already is read and used.
type Target interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Get downloads a version of an object, 0 for the newest, into dst. Of a file with have bytes it keeps the blocks that are right already, and fetches the
// others. If the object changes meanwhile it fails; see IsChanged. At the end the root hash of what was written is checked.
func (k *Container) Get(ctx context.Context, name string, version uint64, dst Target, have int64, t Transfer) (Report, error) {
	query := ""
	if version != 0 {
		query = "&version=" + strconv.FormatUint(version, 10)
	}
	var h hashmap
	if err := k.c.getJSON(ctx, k.path(name)+"?hashmap&format=json"+query, &h); err != nil {
		return Report{}, err
	}
	root, err := h.root()
	if err != nil || h.BlockSize <= 0 || h.Bytes < 0 || int64(len(h.Hashes)) != max(1, (h.Bytes+h.BlockSize-1)/h.BlockSize) {
		return Report{}, fmt.Errorf("%s: the service's hashmap is not understood", name)
	}
	d := &download{k: k, name: name, query: query, dst: dst, h: &h, root: root, t: t}
	d.report = Report{Bytes: h.Bytes, Blocks: len(h.Hashes), Hash: root, Names: h.Hashes}
	if t.Expect != "" && root != t.Expect {
		return d.report, &Error{Status: http.StatusPreconditionFailed, Name: "preconditionFailed", Message: "The object is another by now"}
	}
	wanted, err := d.wanted(ctx, have)
	if err != nil {
		return d.report, err
	}
	if err := each(ctx, t.Parallel, wanted, d.fetch); err != nil {
		return d.report, err
	}
	return d.report, dst.Truncate(h.Bytes)
}

type download struct {
	k      *Container
	name   string
	query  string
	dst    Target
	h      *hashmap
	root   string
	t      Transfer
	mu     sync.Mutex
	done   int64
	report Report
}

func (d *download) length(i int) int64 { return min(d.h.BlockSize, d.h.Bytes-int64(i)*d.h.BlockSize) }

// wanted are the blocks that the file does not have at their places.
func (d *download) wanted(ctx context.Context, have int64) (indexes []int, err error) {
	buf := make([]byte, min(d.h.BlockSize, max(d.h.Bytes, 1)))
	for i := range d.h.Hashes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, off := d.length(i), int64(i)*d.h.BlockSize
		if n <= 0 {
			continue // the one entry of an empty object
		}
		if off+n <= have {
			if err := readAt(d.dst, buf[:n], off); err == nil && block.Sum(buf[:n]).String() == d.h.Hashes[i] {
				d.done += n
				continue
			}
		}
		indexes = append(indexes, i)
	}
	return indexes, nil
}

// fetch gets one block and checks it before it is written.
func (d *download) fetch(ctx context.Context, i int) error {
	n, off := d.length(i), int64(i)*d.h.BlockSize
	if d.t.Find != nil {
		if data := d.t.Find(d.h.Hashes[i], n); int64(len(data)) == n && block.Sum(data).String() == d.h.Hashes[i] {
			return d.put(data, off, false)
		}
	}
	query := ""
	if d.query != "" {
		query = "?" + d.query[1:]
	}
	req, err := d.k.c.request(ctx, http.MethodGet, d.k.path(d.name)+query, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	req.Header.Set("If-Match", d.root)
	res, err := d.k.c.send(req)
	if err != nil {
		return err
	}
	defer drop(res)
	data := make([]byte, n)
	if _, err := io.ReadFull(res.Body, data); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	if block.Sum(data).String() != d.h.Hashes[i] {
		return fmt.Errorf("%s: block %d is not the one that was named", d.name, i)
	}
	return d.put(data, off, true)
}

// put writes a block that has been checked.
func (d *download) put(data []byte, off int64, fetched bool) error {
	if _, err := d.dst.WriteAt(data, off); err != nil {
		return err
	}
	n := int64(len(data))
	d.mu.Lock()
	defer d.mu.Unlock()
	if fetched {
		d.report.Sent++
		d.report.Moved += n
	}
	d.done += n
	if d.t.Progress != nil {
		d.t.Progress(d.done, d.h.Bytes, d.report.Moved)
	}
	return nil
}

// each calls fn for every item, several at once, until one fails.
func each(ctx context.Context, parallel int, items []int, fn func(context.Context, int) error) error {
	if parallel <= 0 {
		parallel = parallelDefault
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(parallel, len(items)) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					continue
				}
				if err := fn(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, i := range items {
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
