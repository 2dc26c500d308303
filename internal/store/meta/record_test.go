package meta

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/errs"
)

// fill sets every field below v to something that is not zero.
func fill(t *testing.T, v reflect.Value, salt *int64) {
	t.Helper()
	*salt++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.UnixMicro(*salt).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i), salt)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), salt)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), salt)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, salt)
		fill(t, value, salt)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(string(rune('a'+*salt%26)) + "é\x01")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*salt)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(1 + uint64(*salt)%200)
	default:
		t.Fatalf("a record has a field of kind %v: teach it to this test and to the record", v.Kind())
	}
}

// TestRecordsKeepEveryField fills every field there is, by reflection, so that a new one cannot be forgotten.
func TestRecordsKeepEveryField(t *testing.T) {
	var salt int64
	var u Upload
	fill(t, reflect.ValueOf(&u).Elem(), &salt)
	u.Template.Latest = false // never stored
	gotU, err := ParseUpload(u.UploadKey, AppendUpload(nil, &u))
	if diff := cmp.Diff(u, gotU); diff != "" || err != nil {
		t.Errorf("upload: %v (-want +got):\n%s", err, diff)
	}
	var p Part
	fill(t, reflect.ValueOf(&p).Elem(), &salt)
	gotP, err := ParsePart(AppendPart(nil, &p))
	if diff := cmp.Diff(p, gotP); diff != "" || err != nil {
		t.Errorf("part: %v (-want +got):\n%s", err, diff)
	}
	var c Completion
	fill(t, reflect.ValueOf(&c).Elem(), &salt)
	c.Summary.Latest = false
	gotC, err := ParseCompletion(c.Summary.Name, AppendCompletion(nil, &c))
	if diff := cmp.Diff(c, gotC); diff != "" || err != nil {
		t.Errorf("completion: %v (-want +got):\n%s", err, diff)
	}
}

func FuzzParseRecords(f *testing.F) {
	var salt int64
	var u Upload
	t := &testing.T{}
	fill(t, reflect.ValueOf(&u).Elem(), &salt)
	f.Add(AppendUpload(nil, &u))
	f.Add(AppendPart(nil, &Part{}))
	f.Add(AppendCompletion(nil, &Completion{}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := ParseUpload(UploadKey{}, raw); err != nil && !errs.Is(err, errs.Corrupt) {
			t.Errorf("upload: %v", err)
		}
		if _, err := ParsePart(raw); err != nil && !errs.Is(err, errs.Corrupt) {
			t.Errorf("part: %v", err)
		}
		if _, err := ParseCompletion("n", raw); err != nil && !errs.Is(err, errs.Corrupt) {
			t.Errorf("completion: %v", err)
		}
	})
}
