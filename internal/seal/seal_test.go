package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/seal"
	"pithos/internal/seal/sealtest"
)

var here = []byte("container/name")

func newKeeper(t *testing.T) (*seal.Keeper, *sealtest.Ring, *sealtest.Service, *clock.Manual) {
	t.Helper()
	ring, service := &sealtest.Ring{}, &sealtest.Service{Keys: []string{"one", "two"}}
	ring.Add("r1")
	c := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	return seal.NewKeeper(seal.Options{Ring: ring, Service: service, Clock: c}), ring, service, c
}

// requests has one request of each mode, by name.
func requests() map[string]seal.Request {
	customer := seal.NewSecret()
	return map[string]seal.Request{
		"customer": {Mode: seal.Customer, Customer: &customer},
		"service":  {Mode: seal.Service},
		"kms":      {Mode: seal.KMS, KeyID: "one", Context: []byte(`{"a":"b"}`)},
		"bucket":   {Mode: seal.KMS, KeyID: "two", BucketKey: true, Scope: "c"},
	}
}

func encrypt(t *testing.T, s *seal.Stream, data []byte) []byte {
	t.Helper()
	r, err := s.Encrypt(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(out)) != seal.Sealed(int64(len(data))) {
		t.Fatalf("%d bytes became %d, not %d", len(data), len(out), seal.Sealed(int64(len(data))))
	}
	return out
}

func decrypt(s *seal.Stream, raw []byte, first int64) ([]byte, error) {
	r, err := s.Decrypt(bytes.NewReader(raw), first)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func data(n int) []byte {
	out := make([]byte, n)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{byte(n), 7}), out)
	return out
}

func TestWhatIsSealedOpensWithItsKeyOnly(t *testing.T) {
	for name, r := range requests() {
		t.Run(name, func(t *testing.T) {
			k, ring, _, _ := newKeeper(t)
			o, err := k.New(t.Context(), r, here)
			if err != nil {
				t.Fatal(err)
			}
			stream, _ := o.NewStream(0)
			want := data(200_000)
			raw := encrypt(t, stream, want)
			record := o.Record()
			ring.Add("r2") // a rotated ring still opens what the earlier key wrapped
			again, err := k.Open(t.Context(), record, r.Customer, here)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := again.Whole()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := decrypt(whole, raw, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if got, err := decrypt(whole, raw[seal.SealedSize:], 1); err != nil || !bytes.Equal(got, want[seal.PackageSize:]) {
				t.Errorf("from the second package: %d bytes, %v", len(got), err)
			}
			if _, err := k.Open(t.Context(), record, r.Customer, []byte("container/other")); err == nil {
				t.Error("it opens under another name")
			}
			other := seal.NewSecret()
			if _, err := k.Open(t.Context(), record, &other, here); !errs.Is(err, errs.Invalid) {
				t.Errorf("with another client's key: %v", err)
			}
			for i := range record {
				bad := bytes.Clone(record)
				bad[i] ^= 1
				got, err := k.Open(t.Context(), bad, r.Customer, here)
				if err != nil {
					continue
				}
				// A salt of the stream is not part of what the key is wrapped with: then the stream must not open.
				if w, err := got.Whole(); err == nil {
					if _, err := decrypt(w, raw, 0); err == nil {
						t.Errorf("byte %d of the record can be changed", i)
					}
				}
			}
		})
	}
}

func TestALostKeyIsAClearError(t *testing.T) {
	k, ring, service, _ := newKeeper(t)
	o, err := k.New(t.Context(), seal.Request{Mode: seal.Service}, here)
	if err != nil {
		t.Fatal(err)
	}
	ring.Add("r2")
	ring.Lose("r1")
	_, err = k.Open(t.Context(), o.Record(), nil, here)
	if errs.ReasonOf(err) != errs.KeyLost || !strings.Contains(err.Error(), "r1") {
		t.Errorf("error %v", err)
	}
	if _, err := k.New(t.Context(), seal.Request{Mode: seal.KMS, KeyID: "three"}, here); !errs.IsThing(err, errs.NotFound, errs.SealKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := k.New(t.Context(), seal.Request{Mode: seal.KMS}, here); !errs.Is(err, errs.Invalid) {
		t.Errorf("no key and no default: %v", err)
	}
	none := seal.NewKeeper(seal.Options{})
	for _, m := range []seal.Mode{seal.Service, seal.KMS} {
		if _, err := none.New(t.Context(), seal.Request{Mode: m, KeyID: "one"}, here); !errs.Is(err, errs.Unsupported) {
			t.Errorf("without keys: %v", err)
		}
	}
	_ = service
}

func TestNoKeyAndNonceComesTwice(t *testing.T) {
	k, _, _, _ := newKeeper(t)
	// With a known plain text, equal keys and nonces would show as equal encrypted bytes. Salts show as themselves.
	seen := map[string]bool{}
	see := func(what string, b []byte) {
		t.Helper()
		if seen[string(b)] {
			t.Errorf("%s came twice", what)
		}
		seen[string(b)] = true
	}
	o, err := k.New(t.Context(), seal.Request{Mode: seal.Service}, here)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 3*seal.PackageSize)
	for range 20 {
		for part := range 3 { // also a part that is sent again
			s, salt := o.NewStream(part)
			see("salt", salt)
			raw := encrypt(t, s, zeros)
			for p := range 3 {
				see("package", raw[p*seal.SealedSize+16:][:64])
			}
		}
		again, err := k.Rewrap(t.Context(), o, seal.Request{Mode: seal.Service}, here)
		if err != nil {
			t.Fatal(err)
		}
		see("record", again.Record())
	}
}

func TestTamperingIsDetected(t *testing.T) {
	k, _, _, _ := newKeeper(t)
	o, err := k.New(t.Context(), seal.Request{Mode: seal.Service}, here)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := o.NewStream(1)
	plain := data(4*seal.PackageSize + 100)
	raw := encrypt(t, one, plain)
	two, _ := o.NewStream(2)
	rawTwo := encrypt(t, two, plain)
	const p = seal.SealedSize
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, bad := range map[string][]byte{
		"packages swapped":          join(raw[p:2*p], raw[:p], raw[2*p:]),
		"package of another stream": join(rawTwo[:p], raw[p:]),
		"another stream":            rawTwo,
		"package left out":          join(raw[:p], raw[2*p:]),
		"package twice":             join(raw[:p], raw[:p], raw[p:]),
		"cut between packages":      raw[:3*p],
		"cut in a package":          raw[:3*p+50],
		"last package cut":          raw[:len(raw)-1],
		"longer":                    join(raw, raw[4*p:]),
		"nothing":                   nil,
	} {
		got, err := decrypt(one, bad, 0)
		if !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: bytes were given that are not the object's", name)
		}
	}
	for i := 0; i < len(raw); i += 997 {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		if got, err := decrypt(one, bad, 0); !errs.Is(err, errs.Corrupt) || !bytes.HasPrefix(plain, got) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	salt := make([]byte, 32)
	if _, err := decrypt(o.Stream(1, salt), raw, 0); !errs.Is(err, errs.Corrupt) {
		t.Errorf("another salt: %v", err)
	}
}

func TestTheListOfPartsIsAuthentic(t *testing.T) {
	k, _, _, _ := newKeeper(t)
	o, err := k.New(t.Context(), seal.Request{Mode: seal.Service}, here)
	if err != nil {
		t.Fatal(err)
	}
	parts := []seal.Part{{1, 10, []byte("a")}, {2, 20, []byte("b")}, {3, 5, []byte("c")}}
	if err := o.CheckParts(parts); !errs.Is(err, errs.Corrupt) {
		t.Errorf("without a list: %v", err)
	}
	o.SetParts(parts)
	o, err = k.Open(t.Context(), o.Record(), nil, here)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.CheckParts(parts); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]seal.Part{
		nil, parts[:2], parts[1:], {parts[1], parts[0], parts[2]}, {{1, 11, []byte("a")}, parts[1], parts[2]}, {{1, 10, []byte("ab")}, {2, 20, nil}, parts[2]},
	} {
		if err := o.CheckParts(bad); !errs.Is(err, errs.Corrupt) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestTheMD5IsKeptOutOfSight(t *testing.T) {
	k, _, _, _ := newKeeper(t)
	o, err := k.New(t.Context(), seal.Request{Mode: seal.Service}, here)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := o.MD5(); ok {
		t.Error("an MD5 that nobody kept")
	}
	sum := [16]byte([]byte("0123456789abcdef"))
	o.KeepMD5(sum)
	if bytes.Contains(o.Record(), sum[:]) {
		t.Error("the record shows the MD5")
	}
	if tag := o.Tag(sum); tag == sum || tag != o.Tag(sum) {
		t.Errorf("tag %x", tag)
	}
	if got, ok := o.MD5(); !ok || got != sum {
		t.Errorf("%x, %v", got, ok)
	}
}

func TestABucketKeySparesTheKeyService(t *testing.T) {
	k, _, service, c := newKeeper(t)
	r := seal.Request{Mode: seal.KMS, KeyID: "one", BucketKey: true, Scope: "c1"}
	var records [][]byte
	for range 10 {
		o, err := k.New(t.Context(), r, here)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, o.Record())
	}
	for _, raw := range records {
		if _, err := k.Open(t.Context(), raw, nil, here); err != nil {
			t.Fatal(err)
		}
	}
	if n := service.Calls(); n != 2 {
		t.Errorf("%d calls for ten objects, want one to write and one to read", n)
	}
	c.Advance(time.Hour)
	if _, err := k.New(t.Context(), r, here); err != nil || service.Calls() != 3 {
		t.Errorf("after an hour: %d calls, %v", service.Calls(), err)
	}
	r.Scope = "c2"
	if _, err := k.New(t.Context(), r, here); err != nil || service.Calls() != 4 {
		t.Errorf("for another bucket: %d calls, %v", service.Calls(), err)
	}
}

func TestASecretNeverShows(t *testing.T) {
	s := seal.NewSecret()
	text, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": []seal.Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "key", s, "pointer", &s, "in", struct{ K seal.Secret }{s})
	}
	shown := string(text) + log.String() + errors.New("x").Error() +
		fmt.Sprintf("%v %+v %#v %s %x %d %q %v %+v", s, s, s, s, s, s, s, &s, struct{ K *seal.Secret }{&s})
	for _, form := range []string{"%x", "%X", "%d", "%v"} {
		if strings.Contains(shown, strings.Trim(fmt.Sprintf(form, s[:4]), "[]")) {
			t.Errorf("the key shows: %s", shown)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := seal.NewKeeper(seal.Options{Ring: &sealtest.Ring{}})
	customer := seal.NewSecret()
	o, err := k.New(f.Context(), seal.Request{Mode: seal.Customer, Customer: &customer}, here)
	if err != nil {
		f.Fatal(err)
	}
	original := o.Record()
	f.Add(original)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := seal.Describe(raw); err != nil && !errs.Is(err, errs.Corrupt) {
			t.Errorf("describe: %v", err)
		}
		if _, err := k.Open(t.Context(), raw, &customer, []byte("elsewhere")); err == nil {
			t.Error("a record opens at another place")
		}
	})
}
