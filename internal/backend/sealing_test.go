package backend_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/seal"
	"pithos/internal/seal/sealtest"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// sealedWorld is a world with a key ring and a key service.
type sealedWorld struct {
	*world
	ring     *sealtest.Ring
	service  *sealtest.Service
	customer seal.Secret
	log      bytes.Buffer
}

func newSealedWorld(t *testing.T, change ...func(*backend.Stores, *backend.Options)) *sealedWorld {
	t.Helper()
	s := &sealedWorld{ring: &sealtest.Ring{}, service: &sealtest.Service{Keys: []string{"one", "two"}}, customer: seal.NewSecret()}
	s.ring.Add("r1")
	keep := func(_ *backend.Stores, o *backend.Options) {
		o.Keeper = seal.NewKeeper(seal.Options{Ring: s.ring, Service: s.service, Clock: o.Clock})
		o.Log = slog.New(slog.NewTextHandler(&s.log, nil))
	}
	s.world = newWorld(t, append(change, keep)...)
	return s
}

// encryption is a way to encrypt, and "" none.
func (s *sealedWorld) encryption(mode string) backend.Encryption {
	yes := true
	switch mode {
	case "customer":
		return backend.Encryption{Mode: seal.Customer, Customer: &s.customer}
	case "service":
		return backend.Encryption{Mode: seal.Service}
	case "kms":
		return backend.Encryption{Mode: seal.KMS, KeyID: "one", Context: []byte(`{"a":"b"}`)}
	case "bucket key":
		return backend.Encryption{Mode: seal.KMS, KeyID: "two", BucketKey: &yes}
	}
	return backend.Encryption{}
}

func (s *sealedWorld) key(mode string) *seal.Secret {
	if mode == "customer" {
		return &s.customer
	}
	return nil
}

var sealModes = []string{"", "customer", "service", "kms", "bucket key"}

func (s *sealedWorld) putSealed(name, mode string, data []byte) *object.Version {
	s.t.Helper()
	r := put(name, data)
	r.Attributes.Encryption = s.encryption(mode)
	r.Body.Checksums, r.Body.SHA256 = []object.Algorithm{object.CRC32}, true
	r.Body.Prove = func(d object.Digests) error {
		if d.Size != int64(len(data)) || d.MD5 != md5.Sum(data) || d.SHA256 != sha256.Sum256(data) {
			return fmt.Errorf("digests %+v", d)
		}
		return nil
	}
	v, err := s.Put(s.t.Context(), s.alice, r)
	if err != nil {
		s.t.Fatalf("put %s %q: %v", name, mode, err)
	}
	return v
}

// readSealed reads a range.
func (s *sealedWorld) readSealed(t backend.Target, mode string, off, n int64) ([]byte, error) {
	ctx := s.t.Context()
	o, err := s.Open(ctx, s.alice, t, object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, err
	}
	if err := o.Unseal(ctx, s.key(mode)); err != nil {
		return nil, err
	}
	if n < 0 {
		n = o.Size
	}
	var out bytes.Buffer
	err = o.CopyTo(ctx, &out, off, n)
	return out.Bytes(), err
}

func (s *sealedWorld) wantBytes(name, mode string, want []byte) {
	s.t.Helper()
	got, err := s.readSealed(target(name), mode, 0, -1)
	if err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("%s, %q: %d bytes of %d, %v", name, mode, len(got), len(want), err)
	}
}

func TestWhatIsEncryptedIsRead(t *testing.T) {
	s := newSealedWorld(t)
	for _, mode := range sealModes[1:] {
		for _, size := range []int{0, 1, 100, 1000, seal.PackageSize - 1, seal.PackageSize, seal.PackageSize + 1, blockSize * 5, 700_001} {
			data := random(uint64(size), size)
			v := s.putSealed("o", mode, data)
			sum := md5.Sum(data)
			if plain := v.ETag == hex.EncodeToString(sum[:]); plain != (mode == "service") {
				t.Errorf("%s: the ETag is the MD5: %v", mode, plain)
			}
			if v.Size != int64(size) || len(v.Checksums) != 1 || v.RootHash != (block.ID{}) {
				t.Errorf("%s, %d: %+v", mode, size, v.Summary)
			}
			s.wantBytes("o", mode, data)
			rng := rand.New(rand.NewPCG(1, uint64(size)))
			for range 8 {
				off := rng.Int64N(int64(size) + 1)
				n := rng.Int64N(int64(size) - off + 1)
				got, err := s.readSealed(target("o"), mode, off, n)
				if err != nil || !bytes.Equal(got, data[off:off+n]) {
					t.Errorf("%s, %d: range %d+%d: %v", mode, size, off, n, err)
				}
			}
		}
	}
}

func TestEncryptedBytesAreStoredEncrypted(t *testing.T) {
	s := newSealedWorld(t)
	data := bytes.Repeat([]byte("a secret that nobody may find. "), 20_000)
	for _, mode := range sealModes[1:] {
		before := s.blocks()
		s.putSealed("a "+mode, mode, data)
		once := s.blocks()
		s.putSealed("b "+mode, mode, data)
		if s.blocks() != once+once-before {
			t.Errorf("%s: the same bytes under other keys share blocks", mode)
		}
	}
	err := s.stores.Blobs.Walk(t.Context(), nil, func(in blob.Info) bool {
		raw := make([]byte, in.Stored)
		if n, err := s.stores.Blobs.Read(t.Context(), in.ID, 0, raw); err != nil || bytes.Contains(raw[:n], []byte("nobody may find")) {
			t.Errorf("block %s shows the bytes, %v", in.ID, err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnEncryptedRangeReadsWhatItNeeds(t *testing.T) {
	s := newSealedWorld(t)
	s.putSealed("o", "service", random(1, 50*seal.PackageSize))
	counted := &countingBlobs{Store: s.stores.Blobs}
	stores := s.stores
	stores.Blobs = counted
	s.Backend = backend.New(stores, backend.Options{
		Clock: s.clock, BlockSize: blockSize, Keeper: seal.NewKeeper(seal.Options{Ring: s.ring, Clock: s.clock}),
	})
	if _, err := s.readSealed(target("o"), "", 20*seal.PackageSize+5, 10); err != nil {
		t.Fatal(err)
	}
	if counted.bytes != seal.SealedSize {
		t.Errorf("%d bytes were read for ten, want one package", counted.bytes)
	}
}

type countingBlobs struct {
	blob.Store
	bytes int
}

func (c *countingBlobs) Read(ctx context.Context, id block.ID, off int64, dst []byte) (int, error) {
	c.bytes += len(dst)
	return c.Store.Read(ctx, id, off, dst)
}

func TestTheRightKeyIsNeeded(t *testing.T) {
	s := newSealedWorld(t)
	data := random(1, 1000)
	s.putSealed("customer", "customer", data)
	s.putSealed("service", "service", data)
	s.putSealed("plain", "", data)
	if _, err := s.tryRead(t.Context(), target("customer")); errs.ReasonOf(err) != errs.KeyRequired {
		t.Errorf("without a key: %v", err)
	}
	_, err := s.readSealed(target("service"), "customer", 0, -1)
	wantReason(t, err, errs.Invalid, errs.KeyUnwanted)
	_, err = s.readSealed(target("plain"), "customer", 0, -1)
	wantReason(t, err, errs.Invalid, errs.KeyUnwanted)
	right := s.customer
	s.customer = seal.NewSecret()
	_, err = s.readSealed(target("customer"), "customer", 0, -1)
	wantReason(t, err, errs.Invalid, errs.KeyMismatch)
	s.customer = right
	s.wantBytes("customer", "customer", data)

	s.ring.Add("r2")
	s.putSealed("later", "service", data)
	s.ring.Lose("r1")
	_, err = s.readSealed(target("service"), "", 0, -1)
	wantReason(t, err, errs.Internal, errs.KeyLost)
	if !strings.Contains(s.log.String(), "r1") {
		t.Error("the log does not name the lost key")
	}
	s.wantBytes("later", "service", data)
	for _, secret := range []seal.Secret{right, s.customer} {
		if bytes.Contains(s.log.Bytes(), secret[:]) || strings.Contains(s.log.String(), hex.EncodeToString(secret[:])) {
			t.Error("the log shows a key")
		}
	}
}

func TestEncryptedPartsAreLaidEndToEnd(t *testing.T) {
	s := newSealedWorld(t)
	ctx := t.Context()
	for _, mode := range sealModes {
		u, err := s.BeginUpload(ctx, s.alice, backend.NewUpload{
			Container: ref("photos"), Name: "o", Checksum: object.CRC32, FullObject: true,
			Attributes: backend.Attributes{Encryption: s.encryption(mode)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var whole []byte
		r := backend.CompleteRequest{Container: ref("photos"), Name: "o", Upload: u.ID, Size: -1, Customer: s.key(mode)}
		for i, size := range []int{100, seal.PackageSize, 3*seal.PackageSize + 17, 0} {
			number := 2*i + 1
			for range 2 { // each part is sent twice
				data := random(uint64(i+size), size)
				p, _, err := s.PutPart(ctx, s.alice, backend.PartRequest{
					Container: ref("photos"), Name: "o", Upload: u.ID, Number: number, Body: body(data), Customer: s.key(mode),
				})
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Parts) > i {
					if r.Parts[i].ETag != p.ETag {
						t.Errorf("%q: part %d got another ETag when it was sent again", mode, number)
					}
					r.Parts = r.Parts[:i]
				} else {
					whole = append(whole, data...)
				}
				r.Parts = append(r.Parts, backend.CompletePart{Number: p.Number, ETag: p.ETag})
			}
		}
		if mode == "customer" {
			r.Customer = nil
			_, err := s.Complete(ctx, s.alice, r)
			wantReason(t, err, errs.Invalid, errs.KeyRequired)
			other := seal.NewSecret()
			r.Customer = &other
			_, err = s.Complete(ctx, s.alice, r)
			wantReason(t, err, errs.Invalid, errs.KeyMismatch)
			r.Customer = &s.customer
		}
		v, err := s.Complete(ctx, s.alice, r)
		if err != nil {
			t.Fatalf("%q: %v", mode, err)
		}
		if v.Size != int64(len(whole)) || len(v.Parts) != 4 {
			t.Errorf("%q: %+v", mode, v)
		}
		s.wantBytes("o", mode, whole)
		rng := rand.New(rand.NewPCG(2, 3))
		for range 20 {
			off := rng.Int64N(int64(len(whole)))
			n := rng.Int64N(int64(len(whole)) - off + 1)
			if got, err := s.readSealed(target("o"), mode, off, n); err != nil || !bytes.Equal(got, whole[off:off+n]) {
				t.Errorf("%q: range %d+%d: %v", mode, off, n, err)
			}
		}
	}
}

func TestCopiesBetweenAllModes(t *testing.T) {
	s := newSealedWorld(t)
	ctx := t.Context()
	data := random(9, 3*blockSize+100)
	sum := md5.Sum(data)
	for _, from := range sealModes {
		s.putSealed("source", from, data)
		for _, to := range sealModes {
			stored := s.blocks()
			c := copyOf("source", "copy "+from+to)
			c.SourceKey, c.Attributes.Encryption = s.key(from), s.encryption(to)
			v, _, err := s.Copy(ctx, s.alice, c)
			if err != nil {
				t.Fatalf("%q to %q: %v", from, to, err)
			}
			if (from == "") == (to == "") && s.blocks() != stored {
				t.Errorf("%q to %q: bytes were moved", from, to)
			}
			s.wantBytes("copy "+from+to, to, data)
			plain := v.ETag == hex.EncodeToString(sum[:])
			if want := to == "" || to == "service"; plain != want {
				t.Errorf("%q to %q: the ETag is the MD5: %v", from, to, plain)
			}
			if len(v.Checksums) != 1 {
				t.Errorf("%q to %q: checksums %v", from, to, v.Checksums)
			}
			s.copyPart(from, to, data)
		}
	}
}

// copyPart copies a range of "source" into an upload of another mode.
func (s *sealedWorld) copyPart(from, to string, data []byte) {
	s.t.Helper()
	ctx := s.t.Context()
	u, err := s.BeginUpload(ctx, s.alice, backend.NewUpload{
		Container: ref("photos"), Name: "joined", Attributes: backend.Attributes{Encryption: s.encryption(to)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	p, _, err := s.PutPart(ctx, s.alice, backend.PartRequest{
		Container: ref("photos"), Name: "joined", Upload: u.ID, Number: 1, Customer: s.key(to),
		From: &backend.PartSource{Source: target("source"), Offset: 1000, Length: 70_000, Key: s.key(from)},
	})
	if err != nil {
		s.t.Fatalf("part from %q to %q: %v", from, to, err)
	}
	_, err = s.Complete(ctx, s.alice, backend.CompleteRequest{
		Container: ref("photos"), Name: "joined", Upload: u.ID, Size: -1, Customer: s.key(to),
		Parts: []backend.CompletePart{{Number: 1, ETag: p.ETag}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.wantBytes("joined", to, data[1000:71_000])
}

func TestACopyInPlaceChangesTheEncryption(t *testing.T) {
	s := newSealedWorld(t)
	data := random(4, 100_000)
	s.putSealed("o", "", data)
	was := ""
	for _, mode := range []string{"service", "kms", "customer", "service", "bucket key"} {
		c := copyOf("o", "o")
		c.SourceKey, c.Attributes.Encryption = s.key(was), s.encryption(mode)
		if _, _, err := s.Copy(t.Context(), s.alice, c); err != nil {
			t.Fatalf("%q to %q: %v", was, mode, err)
		}
		s.wantBytes("o", mode, data)
		was = mode
	}
	// Metadata alone, as Swift changes it.
	if _, err := s.Revise(t.Context(), s.alice, ref("photos"), "o", func(_ *object.Version, a *backend.Attributes) error {
		a.ContentType = "text/other"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.wantBytes("o", was, data)
}

func TestTheBucketsDefaultEncryption(t *testing.T) {
	s := newSealedWorld(t)
	ctx := t.Context()
	set := func(e *bucket.Encryption) {
		t.Helper()
		if _, err := s.Configure(ctx, s.alice, ref("photos"), access.PutEncryptionConfiguration, func(_ bucket.Container, c *bucket.Config) error {
			c.Encryption = e
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(v *object.Version, m seal.Mode, key string) {
		t.Helper()
		if in, err := seal.Describe(v.Encryption); err != nil || in.Mode != m || in.KeyID != key {
			t.Errorf("encryption %+v, %v", in, err)
		}
	}
	data := random(3, 1000)
	set(&bucket.Encryption{})
	want(s.put("a", data), seal.Service, "")
	set(&bucket.Encryption{KMS: true, KeyID: "two", BucketKey: true, NoCustomerKeys: true})
	want(s.put("b", data), seal.KMS, "two")
	want(s.putSealed("c", "service", data), seal.Service, "")
	r := put("d", data)
	r.Attributes.Encryption = s.encryption("customer")
	if _, err := s.Put(ctx, s.alice, r); !errs.Is(err, errs.Denied) {
		t.Errorf("a client's key: %v", err)
	}
	u, err := s.BeginUpload(ctx, s.alice, backend.NewUpload{Container: ref("photos"), Name: "u"})
	if err != nil {
		t.Fatal(err)
	}
	want(&u.Template, seal.KMS, "two")
	set(nil)
	want(s.put("e", data), seal.Plain, "")
	s.wantBytes("b", "", data)
}

// TestTamperedMetadataIsDetected changes what a version says of its encrypted content. The store keeps what it is given, as one that is in a
// stranger's hands would.
func TestTamperedMetadataIsDetected(t *testing.T) {
	s := newSealedWorld(t)
	ctx := t.Context()
	one := s.putSealed("one", "service", random(1, 5*seal.PackageSize))
	two := s.putSealed("two", "service", random(2, 5*seal.PackageSize))
	refs := one.Content.Map.Refs
	for name, change := range map[string]func(v *object.Version){
		"content of another object":    func(v *object.Version) { v.Content = two.Content },
		"encryption of another object": func(v *object.Version) { v.Encryption = two.Encryption },
		"all of another object":        func(v *object.Version) { v.Content, v.Encryption = two.Content, two.Encryption },
		"shorter by a package":         func(v *object.Version) { v.Size -= seal.PackageSize },
		"shorter by a byte":            func(v *object.Version) { v.Size-- },
		"blocks swapped": func(v *object.Version) {
			v.Content.Map.Refs = append([]block.Ref{refs[1], refs[0]}, refs[2:]...)
		},
		"encryption forgotten and found": func(v *object.Version) { v.Encryption = v.Encryption[:len(v.Encryption)-1] },
	} {
		v := *one
		change(&v)
		forged := &forgedMeta{Store: s.stores.Meta, version: &v}
		stores := s.stores
		stores.Meta = forged
		b := backend.New(stores, backend.Options{Clock: s.clock, Keeper: seal.NewKeeper(seal.Options{Ring: s.ring, Clock: s.clock})})
		o, err := b.Open(ctx, s.alice, target("one"), object.Precondition{}, access.GetObject)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = o.CopyTo(ctx, &out, 0, o.Size)
		if !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(random(1, 5*seal.PackageSize), out.Bytes()) {
			t.Errorf("%s: wrong bytes were served", name)
		}
	}
}

// forgedMeta finds a version that was tampered with.
type forgedMeta struct {
	meta.Store
	version *object.Version
}

func (f *forgedMeta) Get(context.Context, naming.ContainerID, naming.ObjectName, meta.Which) (*object.Version, error) {
	return f.version, nil
}
