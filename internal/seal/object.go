package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" // the ETag of S3, not a protection
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Object is a version whose object key is known: ready to encrypt or decrypt. It is used by one goroutine at a time.
type Object struct {
	record record
	key    Secret
}

// Record is the stored form of what opens the object again, given the outer key.
func (o *Object) Record() []byte { return o.record.append(nil) }

// Mode tells who holds the outer key.
func (o *Object) Mode() Mode { return o.record.mode }

// Part is one stream of an object of several.
type Part struct {
	Number int
	Size   int64 // of the plain bytes
	Salt   []byte
}

// NewStream begins the encryption of a stream: part 0 is the whole object, which remembers the salt itself; of a part the caller keeps it.
func (o *Object) NewStream(part int) (s *Stream, salt []byte) {
	salt = newSalt()
	if part == 0 {
		o.record.stream = salt
	}
	return o.Stream(part, salt), salt
}

// Stream is the stream of a part; number 0 is the whole object.
func (o *Object) Stream(part int, salt []byte) *Stream {
	number := binary.BigEndian.AppendUint32(nil, uint32(part))
	return &Stream{key: derive(o.key, salt, "pithos stream 1"+string(number))}
}

// Whole is the stream of an object that is not made of parts.
func (o *Object) Whole() (*Stream, error) {
	if len(o.record.stream) != saltSize {
		return nil, errTampered()
	}
	return o.Stream(0, o.record.stream), nil
}

// SetParts remembers, authenticated, of which parts the object is made.
func (o *Object) SetParts(parts []Part) { o.record.shape = o.shapeOf(parts) }

// CheckParts tells whether the object is made of just these parts; Corrupt if not. What a client completed without its key (SSE-C allows that)
// carries no list and passes; each part is authenticated all the same.
func (o *Object) CheckParts(parts []Part) error {
	if o.record.shape == nil && o.record.mode == Customer {
		return nil
	}
	if !hmac.Equal(o.record.shape, o.shapeOf(parts)) {
		return errTampered()
	}
	return nil
}

func (o *Object) shapeOf(parts []Part) []byte {
	key := derive(o.key, nil, "pithos parts 1")
	mac := hmac.New(sha256.New, key[:])
	var head [20]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(head[:], uint64(p.Number))
		binary.BigEndian.PutUint64(head[8:], uint64(p.Size))
		binary.BigEndian.PutUint32(head[16:], uint32(len(p.Salt)))
		_, _ = mac.Write(head[:])
		_, _ = mac.Write(p.Salt)
	}
	return mac.Sum(nil)
}

// KeepMD5 remembers the MD5 of the plain bytes, encrypted: under some outer keys the ETag must not be it, and a copy under another may need it.
func (o *Object) KeepMD5(sum [md5.Size]byte) {
	salt := newSalt()
	o.record.md5 = gcm(o.md5Key(salt)).Seal(salt, nonceOf(salt), sum[:], nil)
}

// MD5 is what KeepMD5 remembered.
func (o *Object) MD5() (sum [md5.Size]byte, ok bool) {
	if len(o.record.md5) < saltSize {
		return sum, false
	}
	salt := o.record.md5[:saltSize]
	raw, err := gcm(o.md5Key(salt)).Open(nil, nonceOf(salt), o.record.md5[saltSize:], nil)
	if err != nil || len(raw) != len(sum) {
		return sum, false
	}
	return [md5.Size]byte(raw), true
}

// Tag is what stands for the MD5 of the plain bytes where it must not be seen. It is the same for the same bytes of one object, so that a part
// that is sent again keeps its ETag, and has nothing to do with that of any other object.
func (o *Object) Tag(sum [md5.Size]byte) [md5.Size]byte {
	key := derive(o.key, nil, "pithos etag 1")
	mac := hmac.New(sha256.New, key[:])
	_, _ = mac.Write(sum[:])
	return [md5.Size]byte(mac.Sum(nil))
}

func (o *Object) md5Key(salt []byte) Secret { return derive(o.key, salt, "pithos md5 1") }

// wrap encrypts the object key under an outer key, for a place.
func (o *Object) wrap(outer Secret, place []byte) {
	o.record.salt = newSalt()
	o.record.wrapped = gcm(o.record.wrapping(outer)).Seal(nil, nonceOf(o.record.salt), o.key[:], o.record.bound(place))
}

// unwrap finds the object key again; false when the outer key is another one, or anything that it is bound to has changed.
func (r *record) unwrap(outer Secret, place []byte) (*Object, bool) {
	raw, err := gcm(r.wrapping(outer)).Open(nil, nonceOf(r.salt), r.wrapped, r.bound(place))
	if err != nil || len(raw) != KeySize {
		return nil, false
	}
	return &Object{record: *r, key: Secret(raw)}, true
}

func (r *record) wrapping(outer Secret) Secret { return derive(outer, r.salt, "pithos object key 1") }

// clone is the same object with a record of its own.
func (o *Object) clone() *Object {
	next := *o
	next.record.md5, next.record.shape = slices.Clone(o.record.md5), slices.Clone(o.record.shape)
	return &next
}

// gcm is AES-256-GCM. Each of its keys is made with a salt of its own and used once, so that the nonce is part of the salt.
func gcm(key Secret) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil { // only for keys of another length
		panic("seal: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil { // only for ciphers with other blocks
		panic("seal: " + err.Error())
	}
	return aead
}

const nonceSize = 12

func nonceOf(salt []byte) []byte { return salt[:nonceSize] }
