package meta

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// The records of uploads, parts and completions have the form of package object's: a byte with the version of the format, then tagged
// fields, zero values left out, unknown ones skipped. What names an upload (UploadKey) or a part (its number) also is in the
// key under which an engine keeps the record; the upload's key is not repeated in the record.
const recordFormat = 1

// Numbers of fields. They are stored: never change one, never use one again.
const (
	uploadAccount    = 1
	uploadInitiated  = 2
	uploadInitiator  = 3
	uploadTemplate   = 4
	uploadChecksum   = 5
	uploadFullObject = 6
	uploadName       = 7 // the template's name, where it is not the upload's

	partPart    = 1
	partContent = 2

	completionVersion = 1
	completionAt      = 2
	completionSummary = 3
	completionPart    = 4
)

// AppendUpload appends the record of u, all of it but its key and the name of its template.
func AppendUpload(dst []byte, u *Upload) []byte {
	dst = append(dst, recordFormat)
	dst = appendBytes(dst, uploadAccount, []byte(u.Account))
	dst = appendTime(dst, uploadInitiated, u.Initiated)
	dst = appendBytes(dst, uploadInitiator, []byte(u.Initiator))
	dst = appendBytes(dst, uploadTemplate, object.AppendVersion(nil, &u.Template))
	dst = appendBytes(dst, uploadChecksum, []byte(u.Checksum))
	if u.FullObject {
		dst = protowire.AppendVarint(protowire.AppendTag(dst, uploadFullObject, protowire.VarintType), 1)
	}
	return appendBytes(dst, uploadName, []byte(u.Template.Name))
}

// ParseUpload reads what AppendUpload wrote; k is the upload's key.
func ParseUpload(k UploadKey, raw []byte) (Upload, error) {
	u := Upload{UploadKey: k}
	var name naming.ObjectName
	err := fields(raw, func(number protowire.Number, n uint64, b []byte) error {
		switch number {
		case uploadAccount:
			u.Account = naming.AccountID(b)
		case uploadInitiated:
			u.Initiated = timeOf(n)
		case uploadInitiator:
			u.Initiator = naming.UserID(b)
		case uploadTemplate:
			v, err := object.ParseVersion(b)
			if err != nil {
				return err
			}
			u.Template = *v
		case uploadChecksum:
			u.Checksum = object.Algorithm(b)
		case uploadFullObject:
			u.FullObject = n != 0
		case uploadName:
			name = naming.ObjectName(b)
		}
		return nil
	})
	u.Template.Name = name
	return u, err
}

// AppendPart appends the record of p.
func AppendPart(dst []byte, p *Part) []byte {
	dst = append(dst, recordFormat)
	dst = appendBytes(dst, partPart, object.AppendPart(nil, &p.Part))
	return appendBytes(dst, partContent, object.AppendContent(nil, p.Content))
}

// ParsePart reads what AppendPart wrote.
func ParsePart(raw []byte) (Part, error) {
	var p Part
	err := fields(raw, func(number protowire.Number, _ uint64, b []byte) (err error) {
		switch number {
		case partPart:
			p.Part, err = object.ParsePart(b)
		case partContent:
			p.Content, err = object.ParseContent(b)
		}
		return err
	})
	return p, err
}

// AppendCompletion appends the record of c, all of it but its summary's name.
func AppendCompletion(dst []byte, c *Completion) []byte {
	dst = append(dst, recordFormat)
	dst = protowire.AppendVarint(protowire.AppendTag(dst, completionVersion, protowire.VarintType), uint64(c.Version))
	dst = appendTime(dst, completionAt, c.At)
	dst = appendBytes(dst, completionSummary, object.AppendSummary(nil, &c.Summary))
	var buf []byte
	for i := range c.Parts {
		buf = object.AppendPart(buf[:0], &c.Parts[i])
		dst = appendBytes(dst, completionPart, buf)
	}
	return dst
}

// ParseCompletion reads what AppendCompletion wrote for an upload of the name.
func ParseCompletion(name naming.ObjectName, raw []byte) (Completion, error) {
	var c Completion
	err := fields(raw, func(number protowire.Number, n uint64, b []byte) error {
		switch number {
		case completionVersion:
			c.Version = object.VersionID(n)
		case completionAt:
			c.At = timeOf(n)
		case completionSummary:
			return new(object.Decoder).Summary(b, &c.Summary)
		case completionPart:
			p, err := object.ParsePart(b)
			c.Parts = append(c.Parts, p)
			return err
		}
		return nil
	})
	c.Summary.Name = name
	return c, err
}

func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}

func appendTime(dst []byte, number protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), protowire.EncodeZigZag(t.UnixMicro()))
}

func timeOf(n uint64) time.Time { return time.UnixMicro(protowire.DecodeZigZag(n)).UTC() }

// fields calls fn for every varint and bytes field of a record.
func fields(raw []byte, fn func(number protowire.Number, n uint64, b []byte) error) error {
	torn := errs.E("meta.ParseRecord", errs.Corrupt, errs.Upload, "")
	if len(raw) == 0 || raw[0] != recordFormat {
		return torn
	}
	for raw = raw[1:]; len(raw) > 0; {
		number, kind, size := protowire.ConsumeTag(raw)
		if size < 0 {
			return torn
		}
		raw = raw[size:]
		var n uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(raw)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(raw)
		default:
			number, size = 0, protowire.ConsumeFieldValue(number, kind, raw)
		}
		if size < 0 {
			return torn
		}
		raw = raw[size:]
		if err := fn(number, n, b); err != nil {
			return err
		}
	}
	return nil
}
