package object

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// fill sets every field below v to something that is not zero, with random lengths.
func fill(t *testing.T, r *rand.Rand, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMicro(1 + r.Int64N(1<<50)).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, r, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(4), 8))
		for i := range v.Len() {
			fill(t, r, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, r, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, r, key)
			fill(t, r, value)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		b := make([]byte, 1+r.IntN(200))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		v.SetString(string(b))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(1<<40))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1 + r.Uint64N(200))
	default:
		t.Fatalf("a version has a field of kind %v: teach it to this test and to the record", v.Kind())
	}
}

func filled(t *testing.T, seed uint64) *Version {
	t.Helper()
	var v Version
	fill(t, rand.New(rand.NewPCG(seed, 1)), reflect.ValueOf(&v).Elem())
	return &v
}

// stored is what of v a record keeps.
func stored(v Version) Version {
	v.Name, v.Latest = "", false
	return v
}

// TestVersionRecordKeepsEveryField fills every field there is, by reflection, so that a new one cannot be forgotten.
func TestVersionRecordKeepsEveryField(t *testing.T) {
	for seed := range uint64(50) {
		v := filled(t, seed)
		raw := AppendVersion([]byte("before"), v)[len("before"):]
		got, err := ParseVersion(raw)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := stored(*v)
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
		got, err = ParseVersion(AppendSummary(nil, &v.Summary), AppendDetail(nil, v))
		if err != nil {
			t.Fatalf("seed %d, in two records: %v", seed, err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatalf("seed %d, in two records (-want +got):\n%s", seed, diff)
		}
		var s Summary
		if err := new(Decoder).Summary(raw, &s); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(want.Summary, s); diff != "" {
			t.Fatalf("seed %d, summary (-want +got):\n%s", seed, diff)
		}
		if again := AppendVersion(nil, got); string(again) != string(raw) {
			t.Fatalf("seed %d: the record is not deterministic", seed)
		}
	}
}

func TestPartAndContentRecordsKeepEveryField(t *testing.T) {
	for seed := range uint64(20) {
		v := filled(t, seed)
		p, err := ParsePart(AppendPart(nil, &v.Parts[0]))
		if diff := cmp.Diff(v.Parts[0], p); diff != "" || err != nil {
			t.Fatalf("seed %d: %v (-want +got):\n%s", seed, err, diff)
		}
		c, err := ParseContent(AppendContent(nil, v.Content))
		if diff := cmp.Diff(v.Content, c); diff != "" || err != nil {
			t.Fatalf("seed %d: %v (-want +got):\n%s", seed, err, diff)
		}
	}
}

func TestETagForms(t *testing.T) {
	sum := strings.Repeat("0f", 16)
	for _, etag := range []string{
		"", sum, sum + "-1", sum + "-10000", sum + "-", sum + "-01", sum + "-+1", sum + "-99999999999999999999", sum + "x1",
		strings.ToUpper(sum), sum[1:], sum + sum, "\x00", "-", "g" + sum[1:],
	} {
		v := Version{Summary: Summary{ETag: etag}}
		got, err := ParseVersion(AppendVersion(nil, &v))
		if err != nil || got.ETag != etag {
			t.Errorf("%q came back as %+v, %v", etag, got, err)
		}
	}
	if n := len(AppendSummary(nil, &Summary{ETag: sum})); n != 1+2+16 {
		t.Errorf("an MD5 ETag takes %d bytes", n)
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	v := filled(t, 1)
	raw := AppendVersion(nil, v)
	raw = protowire.AppendTag(raw, 1000, protowire.VarintType)
	raw = protowire.AppendVarint(raw, 7)
	raw = protowire.AppendTag(raw, 1001, protowire.Fixed64Type)
	raw = protowire.AppendFixed64(raw, 7)
	raw = protowire.AppendTag(raw, 1002, protowire.BytesType)
	raw = protowire.AppendString(raw, "of the future")
	got, err := ParseVersion(raw)
	want := stored(*v)
	if diff := cmp.Diff(&want, got); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
}

func TestTornRecordsAreRefused(t *testing.T) {
	raw := AppendVersion(nil, filled(t, 3))
	if _, err := ParseVersion(nil); !errs.Is(err, errs.Corrupt) {
		t.Errorf("an empty record: %v", err)
	}
	if _, err := ParseVersion(append([]byte{recordFormat + 1}, raw[1:]...)); !errs.Is(err, errs.Corrupt) {
		t.Errorf("a newer format: %v", err)
	}
	for n := range raw {
		_, _ = ParseVersion(raw[:n]) // must not panic; a cut between two fields cannot be seen
	}
}

// TestSmallRecordIsSmall holds the price of a small object down.
func TestSmallRecordIsSmall(t *testing.T) {
	v := smallVersion()
	if n := len(AppendVersion(nil, v)); n > 220 {
		t.Errorf("the record of a small object has %d bytes", n)
	}
}

func smallVersion() *Version {
	id := block.Sum([]byte("x"))
	return &Version{
		Summary: Summary{
			ID: 1795000000000000, Null: true, Size: 4096, ETag: strings.Repeat("a5", 16), ContentType: "application/octet-stream",
			Owner: "test", StorageClass: "STANDARD", RootHash: id, UUID: [16]byte{1},
			Checksums: []Checksum{{Algorithm: CRC64NVME, Value: "12345678"}},
			Author:    naming.User("test", "tester"),
		},
		BlockSize: block.SizeDefault,
		Content:   Content{Holder: block.Holder{2}, Map: block.Map{Refs: []block.Ref{{ID: id, Len: 4096}}}},
		ACL:       access.ACL{Grants: nil},
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add(AppendVersion(nil, smallVersion()))
	f.Add(AppendVersion(nil, &Version{}))
	f.Add([]byte{recordFormat, 0x8a, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := ParseVersion(raw)
		var s Summary
		_ = new(Decoder).Summary(raw, &s)
		if err != nil {
			if !errs.Is(err, errs.Corrupt) {
				t.Fatalf("error is not Corrupt: %v", err)
			}
			return
		}
		again, err := ParseVersion(AppendVersion(nil, v))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

func BenchmarkDecoderSummary(b *testing.B) {
	raw := AppendVersion(nil, smallVersion())
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		var s Summary
		if err := d.Summary(raw, &s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseVersion(b *testing.B) {
	raw := AppendVersion(nil, smallVersion())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseVersion(raw); err != nil {
			b.Fatal(err)
		}
	}
}
