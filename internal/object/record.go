package object

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"pithos/internal/access"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
)

// A record is the stored form of a version, a part or a summary: one byte with the version of the format, then tagged fields as
// Protocol Buffers have them on the wire (Protocol Buffers documentation, "Encoding"), in ascending order of their numbers, zero
// values left out. A reader skips fields that it does not know, so fields can be added without a new format.
//
// The name of a version is not in its record: it is the key under which the record is kept. Latest is never stored.
//
// Fields 1 to 16 and behind them 41 are the summary, the rest is the detail. A version is stored as one record (AppendVersion), or as
// two, a summary and a detail, that ParseVersion puts together again.
const recordFormat = 1

// Numbers of fields. They are stored: never change one, never use one again.
const (
	fieldID           = 1
	fieldNull         = 2
	fieldKind         = 3
	fieldSize         = 4
	fieldETagMD5      = 5 // 16 bytes: the ETag is their hexadecimal form
	fieldETagParts    = 6 // 16 bytes and a varint N: "hex-N"
	fieldETagText     = 7 // any other ETag
	fieldContentType  = 8
	fieldOwner        = 9
	fieldStorageClass = 10
	fieldChecksum     = 11
	fieldRootHash     = 12
	fieldUUID         = 13
	fieldShare        = 14
	fieldNote         = 15

	fieldAuthor          = 16
	summaryMax           = fieldAuthor
	fieldHolder          = 17
	fieldDepth           = 18
	fieldRefs            = 19 // 32 bytes of id and a varint of length, each
	fieldRootRef         = 20 // the map is one entry, whose id is the root hash: its length
	fieldBlockSize       = 21
	fieldEncoding        = 22
	fieldLanguage        = 23
	fieldDisposition     = 24
	fieldCacheControl    = 25
	fieldExpiresHeader   = 26
	fieldRedirect        = 27
	fieldMeta            = 28 // domain, key, value
	fieldPart            = 29
	fieldUpload          = 30
	fieldExpires         = 31
	fieldTarget          = 32
	fieldEncryption      = 33
	fieldGrant           = 34 // canonical, group, permission
	fieldTag             = 35 // key, value
	fieldRetentionMode   = 36
	fieldRetentionUntil  = 37
	fieldLegalHold       = 38
	fieldDocumentDepth   = 39
	fieldDocumentRefs    = 40 // as fieldRefs
	fieldStamp           = 41 // of the summary
	fieldKept            = 42 // bytes of the only block
	fieldDocumentKept    = 43 // as fieldKept
	fieldPartNumber      = 1
	fieldPartModified    = 2
	fieldPartSize        = fieldSize     // parts share the numbers of what
	fieldPartETagMD5     = fieldETagMD5  // they have in common with
	fieldPartChecksum    = fieldChecksum // versions
	fieldPartSeal        = 12
	checksumOtherNumber  = 0
	refEntryMin          = len(block.ID{}) + 1
	entriesPreallocation = 1 << 16
)

// AppendVersion appends the record of v, all of it but Name and Latest.
func AppendVersion(dst []byte, v *Version) []byte {
	dst = AppendSummary(dst, &v.Summary)
	return appendDetail(dst, v)
}

// AppendRest appends what AppendVersion has behind the record of the summary.
func AppendRest(dst []byte, v *Version) []byte { return appendDetail(dst, v) }

// AppendDetail appends a record with everything of v that is not in its summary.
func AppendDetail(dst []byte, v *Version) []byte {
	return appendDetail(append(dst, recordFormat), v)
}

// AppendSummary appends the record of s, all of it but Name and Latest.
func AppendSummary(dst []byte, s *Summary) []byte {
	dst = append(dst, recordFormat)
	dst = appendVarint(dst, fieldID, uint64(s.ID))
	dst = appendBool(dst, fieldNull, s.Null)
	dst = appendVarint(dst, fieldKind, uint64(s.Kind))
	dst = appendVarint(dst, fieldSize, uint64(s.Size))
	dst = appendETag(dst, s.ETag)
	dst = appendString(dst, fieldContentType, s.ContentType)
	dst = appendString(dst, fieldOwner, s.Owner)
	dst = appendString(dst, fieldStorageClass, s.StorageClass)
	dst = appendChecksums(dst, s.Checksums)
	if s.RootHash != (block.ID{}) {
		dst = appendBytes(dst, fieldRootHash, s.RootHash[:])
	}
	if s.UUID != [16]byte{} {
		dst = appendBytes(dst, fieldUUID, s.UUID[:])
	}
	dst = appendString(appendString(appendShare(dst, s.Share), fieldNote, s.Note), fieldAuthor, s.Author)
	return appendVarint(dst, fieldStamp, uint64(s.Stamp))
}

func appendDetail(dst []byte, v *Version) []byte {
	dst = appendContent(dst, v.Content, v.RootHash)
	dst = appendVarint(dst, fieldBlockSize, uint64(v.BlockSize))
	dst = appendString(dst, fieldEncoding, v.Headers.ContentEncoding)
	dst = appendString(dst, fieldLanguage, v.Headers.ContentLanguage)
	dst = appendString(dst, fieldDisposition, v.Headers.ContentDisposition)
	dst = appendString(dst, fieldCacheControl, v.Headers.CacheControl)
	dst = appendString(dst, fieldExpiresHeader, v.Headers.Expires)
	dst = appendString(dst, fieldRedirect, v.Headers.WebsiteRedirect)
	for _, domain := range slices.Sorted(maps.Keys(v.Meta)) {
		for _, key := range slices.Sorted(maps.Keys(v.Meta[domain])) {
			dst = appendStrings(dst, fieldMeta, string(domain), key, v.Meta[domain][key])
		}
	}
	for i := range v.Parts {
		dst = appendMessage(dst, fieldPart, func(dst []byte) []byte { return appendPart(dst, &v.Parts[i]) })
	}
	dst = appendString(dst, fieldUpload, v.Upload)
	dst = appendTime(dst, fieldExpires, v.Expires)
	dst = appendString(dst, fieldTarget, v.Target)
	if len(v.Encryption) > 0 {
		dst = appendBytes(dst, fieldEncryption, v.Encryption)
	}
	for _, g := range v.ACL.Grants {
		dst = appendStrings(dst, fieldGrant, g.Canonical, g.Group, string(g.Permission))
	}
	for _, t := range v.Tags {
		dst = appendStrings(dst, fieldTag, t.Key, t.Value)
	}
	dst = appendVarint(dst, fieldRetentionMode, uint64(v.Retention.Mode))
	dst = appendTime(dst, fieldRetentionUntil, v.Retention.Until)
	dst = appendBool(dst, fieldLegalHold, v.LegalHold)
	return appendBeside(dst, v.Content)
}

// AppendPart appends the record of p.
func AppendPart(dst []byte, p *Part) []byte { return appendPart(append(dst, recordFormat), p) }

func appendPart(dst []byte, p *Part) []byte {
	dst = appendVarint(dst, fieldPartNumber, uint64(p.Number))
	dst = appendTime(dst, fieldPartModified, p.Modified)
	dst = appendVarint(dst, fieldPartSize, uint64(p.Size))
	dst = appendETag(dst, p.ETag)
	dst = appendChecksums(dst, p.Checksums)
	if len(p.Seal) > 0 {
		dst = appendBytes(dst, fieldPartSeal, p.Seal)
	}
	return dst
}

// AppendContent appends the record of c.
func AppendContent(dst []byte, c Content) []byte {
	return appendBeside(appendContent(append(dst, recordFormat), c, block.ID{}), c)
}

func appendContent(dst []byte, c Content, root block.ID) []byte {
	if !c.Holder.IsZero() {
		dst = appendBytes(dst, fieldHolder, c.Holder[:])
	}
	dst = appendVarint(dst, fieldDepth, uint64(c.Map.Depth))
	refs := c.Map.Refs
	switch {
	case len(refs) == 0:
	case len(refs) == 1 && root != (block.ID{}) && refs[0].ID == root && refs[0].Len != 0:
		dst = appendVarint(dst, fieldRootRef, uint64(refs[0].Len))
	default:
		dst = appendRefs(dst, fieldRefs, refs)
	}
	return dst
}

// appendBeside appends what is kept beside the map.
func appendBeside(dst []byte, c Content) []byte {
	dst = appendVarint(dst, fieldDocumentDepth, uint64(c.Document.Depth))
	if len(c.Document.Refs) > 0 {
		dst = appendRefs(dst, fieldDocumentRefs, c.Document.Refs)
	}
	if len(c.Map.Kept) > 0 {
		dst = appendBytes(dst, fieldKept, c.Map.Kept)
	}
	if len(c.Document.Kept) > 0 {
		dst = appendBytes(dst, fieldDocumentKept, c.Document.Kept)
	}
	return dst
}

func appendRefs(dst []byte, n protowire.Number, refs []block.Ref) []byte {
	return appendMessage(dst, n, func(dst []byte) []byte {
		for i := range refs {
			dst = append(dst, refs[i].ID[:]...)
			dst = binary.AppendUvarint(dst, uint64(refs[i].Len))
		}
		return dst
	})
}

// appendETag appends an ETag in its shortest form: 16 bytes instead of 32 digits.
func appendETag(dst []byte, etag string) []byte {
	if etag == "" {
		return dst
	}
	var sum [16]byte
	if len(etag) >= 32 && lowerHex(etag[:32]) {
		if _, err := hex.Decode(sum[:], []byte(etag[:32])); err == nil {
			if len(etag) == 32 {
				return appendBytes(dst, fieldETagMD5, sum[:])
			}
			if n, err := strconv.ParseUint(etag[33:], 10, 32); err == nil && etag[32] == '-' && strconv.FormatUint(n, 10) == etag[33:] {
				return appendMessage(dst, fieldETagParts, func(dst []byte) []byte {
					return binary.AppendUvarint(append(dst, sum[:]...), n)
				})
			}
		}
	}
	return appendString(dst, fieldETagText, etag)
}

func lowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// appendChecksums writes each as the number of its algorithm (0: a name follows), the number of parts and the value.
func appendChecksums(dst []byte, sums []Checksum) []byte {
	for _, c := range sums {
		dst = appendMessage(dst, fieldChecksum, func(dst []byte) []byte {
			number := algorithmNumber(c.Algorithm)
			dst = append(dst, number)
			if number == checksumOtherNumber {
				dst = protowire.AppendString(dst, string(c.Algorithm))
			}
			dst = binary.AppendUvarint(dst, uint64(c.Parts))
			return append(dst, c.Value...)
		})
	}
	return dst
}

// algorithmNumber is the stored number of an algorithm. Like field numbers, they never change.
func algorithmNumber(a Algorithm) byte {
	switch a {
	case CRC32:
		return 1
	case CRC32C:
		return 2
	case CRC64NVME:
		return 3
	case SHA1:
		return 4
	case SHA256:
		return 5
	}
	return checksumOtherNumber
}

func algorithmOf(number byte) (Algorithm, bool) {
	switch number {
	case 1:
		return CRC32, true
	case 2:
		return CRC32C, true
	case 3:
		return CRC64NVME, true
	case 4:
		return SHA1, true
	case 5:
		return SHA256, true
	}
	return "", false
}

func appendVarint(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

func appendBool(dst []byte, n protowire.Number, v bool) []byte {
	return appendVarint(dst, n, protowire.EncodeBool(v))
}

func appendBytes(dst []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

func appendString[S ~string](dst []byte, n protowire.Number, s S) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), string(s))
}

// appendStrings appends a list of strings, each with its length before it, as one field.
func appendStrings(dst []byte, n protowire.Number, list ...string) []byte {
	size := 0
	for _, s := range list {
		size += protowire.SizeBytes(len(s))
	}
	dst = protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.BytesType), uint64(size))
	for _, s := range list {
		dst = protowire.AppendString(dst, s)
	}
	return dst
}

// appendTime appends t in microseconds since the epoch; the zero time is left out.
func appendTime(dst []byte, n protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), protowire.EncodeZigZag(t.UnixMicro()))
}

// appendMessage appends what body appends as one field with its length before it.
func appendMessage(dst []byte, n protowire.Number, body func([]byte) []byte) []byte {
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	start := len(dst)
	dst = append(dst, 0) // one byte is enough for the length of most
	dst = body(dst)
	size := len(dst) - start - 1
	if extra := protowire.SizeVarint(uint64(size)) - 1; extra > 0 {
		dst = append(dst, make([]byte, extra)...)
		copy(dst[start+1+extra:], dst[start+1:start+1+size])
	}
	protowire.AppendVarint(dst[:start], uint64(size))
	return dst
}

// ParseVersion reads what AppendVersion wrote, or a summary and then a detail. Name and Latest stay empty. The version
// shares no memory with the records. Corrupt when a record is not one.
func ParseVersion(records ...[]byte) (*Version, error) {
	v := new(Version)
	for _, raw := range records {
		if err := fields(raw, v.field); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// ParsePart reads what AppendPart wrote.
func ParsePart(raw []byte) (Part, error) {
	var p Part
	err := fields(raw, p.field)
	return p, err
}

// ParseContent reads what AppendContent wrote.
func ParseContent(raw []byte) (Content, error) {
	var c Content
	err := fields(raw, func(f field) error { _, err := c.field(f); return err })
	return c, err
}

// Decoder reads summaries, many in a row: values that repeat from one to the next (content type, owner, storage class)
// share one string. It is not safe for concurrent use. The zero value is ready.
type Decoder struct {
	contentType, owner, storageClass, author string
}

// Summary reads the summary at the beginning of a record into s, which should be zero but for the name. Corrupt when
// the record is not one.
func (d *Decoder) Summary(raw []byte, s *Summary) error {
	err := fields(raw, func(f field) error {
		switch f.number {
		case fieldContentType:
			s.ContentType = again(&d.contentType, f.bytes)
		case fieldOwner:
			s.Owner = naming.AccountID(again(&d.owner, f.bytes))
		case fieldAuthor:
			s.Author = naming.UserID(again(&d.author, f.bytes))
		case fieldStorageClass:
			s.StorageClass = again(&d.storageClass, f.bytes)
		default:
			if f.number > summaryMax && f.number != fieldStamp {
				return errEnough
			}
			return s.field(f)
		}
		return nil
	})
	if err == errEnough { //nolint:errorlint // a mark between two functions of this file, never wrapped
		return nil
	}
	return err
}

func again(last *string, raw []byte) string {
	if string(raw) != *last {
		*last = string(raw)
	}
	return *last
}

var (
	errEnough = errs.E("object.Decoder", errs.Internal, errs.Version, "")
	errRecord = errs.E("object.ParseRecord", errs.Corrupt, errs.Version, "")
)

// field is one field of a record: varint for numbers, bytes for everything else.
type field struct {
	number protowire.Number
	varint uint64
	bytes  []byte
}

func (f field) time() time.Time { return time.UnixMicro(protowire.DecodeZigZag(f.varint)).UTC() }

// fields calls fn for every field of a record.
func fields(raw []byte, fn func(field) error) error {
	if len(raw) == 0 || raw[0] != recordFormat {
		return errRecord
	}
	return eachField(raw[1:], fn)
}

func eachField(raw []byte, fn func(field) error) error {
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return errRecord
		}
		raw = raw[n:]
		f := field{number: number}
		known := true
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(raw)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(raw)
		default:
			known = false
			n = protowire.ConsumeFieldValue(number, kind, raw)
		}
		if n < 0 {
			return errRecord
		}
		raw = raw[n:]
		if !known {
			continue
		}
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Summary) field(f field) (err error) {
	switch f.number {
	case fieldID:
		s.ID = VersionID(f.varint)
	case fieldNull:
		s.Null = f.varint != 0
	case fieldKind:
		s.Kind = Kind(f.varint)
	case fieldSize:
		s.Size = int64(f.varint)
	case fieldETagMD5, fieldETagParts, fieldETagText:
		s.ETag, err = parseETag(f)
	case fieldContentType:
		s.ContentType = string(f.bytes)
	case fieldOwner:
		s.Owner = naming.AccountID(f.bytes)
	case fieldStorageClass:
		s.StorageClass = string(f.bytes)
	case fieldChecksum:
		s.Checksums, err = parseChecksum(s.Checksums, f.bytes)
	case fieldRootHash:
		err = fixed(s.RootHash[:], f.bytes)
	case fieldUUID:
		err = fixed(s.UUID[:], f.bytes)
	case fieldShare:
		err = eachField(f.bytes, func(f field) error { return parseShare(&s.Share, f) })
	case fieldNote:
		s.Note = string(f.bytes)
	case fieldAuthor:
		s.Author = naming.UserID(f.bytes)
	case fieldStamp:
		s.Stamp = VersionID(f.varint)
	}
	return err
}

func (v *Version) field(f field) (err error) {
	if f.number <= summaryMax || f.number == fieldStamp {
		return v.Summary.field(f)
	}
	if known, err := v.Content.field(f); known || err != nil {
		return err
	}
	switch f.number {
	case fieldRootRef: // the root hash has a smaller number, so it was there before
		v.Content.Map.Refs = []block.Ref{{ID: v.RootHash, Len: int64(f.varint)}}
	case fieldBlockSize:
		v.BlockSize = int64(f.varint)
	case fieldMeta:
		err = v.metaField(f.bytes)
	case fieldPart:
		var p Part
		err = eachField(f.bytes, p.field)
		v.Parts = append(v.Parts, p)
	case fieldUpload:
		v.Upload = string(f.bytes)
	case fieldExpires:
		v.Expires = f.time()
	case fieldTarget:
		v.Target = string(f.bytes)
	case fieldEncryption:
		v.Encryption = append([]byte{}, f.bytes...)
	case fieldGrant:
		var s [3]string
		err = parseStrings(f.bytes, s[:])
		v.ACL.Grants = append(v.ACL.Grants, access.Grant{Canonical: s[0], Group: s[1], Permission: access.Permission(s[2])})
	case fieldTag:
		var s [2]string
		err = parseStrings(f.bytes, s[:])
		v.Tags = append(v.Tags, Tag{s[0], s[1]})
	case fieldRetentionMode:
		v.Retention.Mode = RetentionMode(f.varint)
	case fieldRetentionUntil:
		v.Retention.Until = f.time()
	case fieldLegalHold:
		v.LegalHold = f.varint != 0
	default:
		v.Headers.field(f)
	}
	return err
}

func (h *Headers) field(f field) {
	switch f.number {
	case fieldEncoding:
		h.ContentEncoding = string(f.bytes)
	case fieldLanguage:
		h.ContentLanguage = string(f.bytes)
	case fieldDisposition:
		h.ContentDisposition = string(f.bytes)
	case fieldCacheControl:
		h.CacheControl = string(f.bytes)
	case fieldExpiresHeader:
		h.Expires = string(f.bytes)
	case fieldRedirect:
		h.WebsiteRedirect = string(f.bytes)
	}
}

func (v *Version) metaField(raw []byte) error {
	var s [3]string
	if err := parseStrings(raw, s[:]); err != nil {
		return err
	}
	domain := Domain(s[0])
	if v.Meta == nil {
		v.Meta = make(map[Domain]map[string]string, 1)
	}
	if v.Meta[domain] == nil {
		v.Meta[domain] = make(map[string]string)
	}
	v.Meta[domain][s[1]] = s[2]
	return nil
}

func (c *Content) field(f field) (known bool, err error) {
	switch f.number {
	case fieldHolder:
		return true, fixed(c.Holder[:], f.bytes)
	case fieldDepth:
		c.Map.Depth = uint8(f.varint)
	case fieldRefs:
		c.Map.Refs, err = parseRefs(f.bytes)
	case fieldDocumentDepth:
		c.Document.Depth = uint8(f.varint)
	case fieldDocumentRefs:
		c.Document.Refs, err = parseRefs(f.bytes)
	case fieldKept:
		c.Map.Kept = append([]byte{}, f.bytes...)
	case fieldDocumentKept:
		c.Document.Kept = append([]byte{}, f.bytes...)
	default:
		return false, nil
	}
	return true, err
}

func (p *Part) field(f field) (err error) {
	switch f.number {
	case fieldPartNumber:
		p.Number = int(f.varint)
	case fieldPartModified:
		p.Modified = f.time()
	case fieldPartSize:
		p.Size = int64(f.varint)
	case fieldETagMD5, fieldETagParts, fieldETagText:
		p.ETag, err = parseETag(f)
	case fieldPartChecksum:
		p.Checksums, err = parseChecksum(p.Checksums, f.bytes)
	case fieldPartSeal:
		p.Seal = append([]byte{}, f.bytes...)
	}
	return err
}

func parseRefs(raw []byte) ([]block.Ref, error) {
	refs := make([]block.Ref, 0, min(len(raw)/refEntryMin, entriesPreallocation))
	for len(raw) > 0 {
		var r block.Ref
		if len(raw) < refEntryMin {
			return nil, errRecord
		}
		copy(r.ID[:], raw)
		length, n := binary.Uvarint(raw[len(r.ID):])
		if n <= 0 {
			return nil, errRecord
		}
		r.Len = int64(length)
		refs = append(refs, r)
		raw = raw[len(r.ID)+n:]
	}
	return refs, nil
}

func parseETag(f field) (string, error) {
	if f.number == fieldETagText {
		return string(f.bytes), nil
	}
	if len(f.bytes) < 16 {
		return "", errRecord
	}
	var buf [64]byte
	text := hex.AppendEncode(buf[:0], f.bytes[:16])
	if f.number == fieldETagMD5 {
		if len(f.bytes) != 16 {
			return "", errRecord
		}
		return string(text), nil
	}
	parts, n := binary.Uvarint(f.bytes[16:])
	if n <= 0 || 16+n != len(f.bytes) {
		return "", errRecord
	}
	return string(strconv.AppendUint(append(text, '-'), parts, 10)), nil
}

func parseChecksum(sums []Checksum, raw []byte) ([]Checksum, error) {
	if len(raw) == 0 {
		return nil, errRecord
	}
	var c Checksum
	number, raw := raw[0], raw[1:]
	if a, ok := algorithmOf(number); ok {
		c.Algorithm = a
	} else {
		name, n := protowire.ConsumeString(raw)
		if n < 0 || number != checksumOtherNumber {
			return nil, errRecord
		}
		c.Algorithm, raw = Algorithm(name), raw[n:]
	}
	parts, n := binary.Uvarint(raw)
	if n <= 0 {
		return nil, errRecord
	}
	c.Parts, c.Value = int(parts), string(raw[n:])
	return append(sums, c), nil
}

func parseStrings(raw []byte, dst []string) error {
	for i := range dst {
		s, n := protowire.ConsumeString(raw)
		if n < 0 {
			return errRecord
		}
		dst[i], raw = s, raw[n:]
	}
	return nil
}

func fixed(dst, raw []byte) error {
	if len(raw) != len(dst) {
		return errRecord
	}
	copy(dst, raw)
	return nil
}
