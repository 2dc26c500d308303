package seal

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// record is what is kept with a version: everything that is needed to open it but the outer key. Its stored form is a byte with the version
// of the format, then tagged fields as in package object's records.
type record struct {
	mode      Mode
	keyID     string // Service: the ring's key; KMS: the key as the writer named it
	data      []byte // KMS: the outer key as the key service wrapped it
	salt      []byte // of the wrapping key
	wrapped   []byte // the object key: nonce, ciphertext, tag
	context   []byte // KMS: the encryption context, JSON
	bucketKey bool
	stream    []byte // salt of the only stream; nil when each part has its own
	shape     []byte // authenticates the list of parts
	md5       []byte // of the plain bytes, encrypted; nil when there was only one for each part
}

const recordFormat = 1

// Numbers of fields. They are stored: never change one, never use one again.
const (
	fieldMode      = 1
	fieldKeyID     = 2
	fieldData      = 3
	fieldSalt      = 4
	fieldWrapped   = 5
	fieldContext   = 6
	fieldBucketKey = 7
	fieldStream    = 8
	fieldShape     = 9
	fieldMD5       = 10
)

func (r *record) append(dst []byte) []byte {
	dst = append(dst, recordFormat)
	dst = protowire.AppendVarint(protowire.AppendTag(dst, fieldMode, protowire.VarintType), uint64(r.mode))
	dst = appendBytes(dst, fieldKeyID, []byte(r.keyID))
	dst = appendBytes(dst, fieldData, r.data)
	dst = appendBytes(dst, fieldSalt, r.salt)
	dst = appendBytes(dst, fieldWrapped, r.wrapped)
	dst = appendBytes(dst, fieldContext, r.context)
	if r.bucketKey {
		dst = protowire.AppendVarint(protowire.AppendTag(dst, fieldBucketKey, protowire.VarintType), 1)
	}
	dst = appendBytes(dst, fieldStream, r.stream)
	dst = appendBytes(dst, fieldShape, r.shape)
	return appendBytes(dst, fieldMD5, r.md5)
}

func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}

// parse reads what append wrote. A field that it does not know is an error here: it may say how to decrypt.
func parse(raw []byte) (*record, error) {
	if len(raw) == 0 || raw[0] != recordFormat {
		return nil, errRecord()
	}
	r := new(record)
	for raw = raw[1:]; len(raw) > 0; {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return nil, errRecord()
		}
		raw = raw[n:]
		var varint uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(raw)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(raw)
			b = append([]byte(nil), b...)
		default:
			return nil, errRecord()
		}
		if n < 0 || !r.set(number, varint, b) {
			return nil, errRecord()
		}
		raw = raw[n:]
	}
	if r.mode == Plain || r.mode > KMS || len(r.salt) != saltSize {
		return nil, errRecord()
	}
	return r, nil
}

func (r *record) set(number protowire.Number, varint uint64, b []byte) bool {
	switch number {
	case fieldMode:
		r.mode = Mode(varint)
	case fieldKeyID:
		r.keyID = string(b)
	case fieldData:
		r.data = b
	case fieldSalt:
		r.salt = b
	case fieldWrapped:
		r.wrapped = b
	case fieldContext:
		r.context = b
	case fieldBucketKey:
		r.bucketKey = varint != 0
	case fieldStream:
		r.stream = b
	case fieldShape:
		r.shape = b
	case fieldMD5:
		r.md5 = b
	default:
		return false
	}
	return true
}

// bound is what the wrapped key is bound to: each part with its length before it.
func (r *record) bound(place []byte) []byte {
	dst := []byte{recordFormat, byte(r.mode), 0}
	if r.bucketKey {
		dst[2] = 1
	}
	for _, part := range [][]byte{[]byte(r.keyID), r.data, r.context, place} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(part)))
		dst = append(dst, part...)
	}
	return dst
}

// Info is what may be shown of a version's encryption.
type Info struct {
	Mode      Mode
	KeyID     string // KMS: as the writer named it; "" otherwise
	BucketKey bool
}

// Describe tells how a version is encrypted; raw is its record, nil for plain content. Corrupt when it is not one.
func Describe(raw []byte) (Info, error) {
	if len(raw) == 0 {
		return Info{}, nil
	}
	r, err := parse(raw)
	if err != nil {
		return Info{}, err
	}
	in := Info{Mode: r.mode, BucketKey: r.bucketKey}
	if r.mode == KMS {
		in.KeyID = r.keyID
	}
	return in, nil
}

// RingKey is the id of the ring's key under which the record is wrapped, "" when it is under another kind of key.
func RingKey(raw []byte) string {
	r, err := parse(raw)
	if err != nil || r.mode != Service {
		return ""
	}
	return r.keyID
}
