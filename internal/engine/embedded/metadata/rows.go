package metadata

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"pithos/internal/engine/embedded/durable"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
)

// detailMax is how many bytes of detail a version's row takes in; a longer detail gets a row of its own. A usual object has
// 50 to 300. A listing of a thousand names walks over as many rows, so it bounds what a page reads.
const detailMax = 512

// row is a head or a row of the history: a few words about the name, then the record of the version, or of its summary when
// the detail is split off.
type row struct {
	split  bool             // the detail has a row of its own
	kept   bool             // the version's bytes are kept with it, in a row of their own, which does not change while it stands
	null   object.VersionID // heads: the null version of the name, 0 when it has none
	older  uint64           // heads: how many versions stand in the history
	record []byte           // of the version, or of its summary
}

// Bits of a row's first byte. They are stored.
const (
	rowSplit     = 1 << iota // the detail has a row of its own
	rowNullSelf              // the version is the null version
	rowNullOlder             // the id of the null version, which stands in the history, follows (8 bytes)
	rowOlder                 // the number of older versions follows (varint)
	rowKept                  // the bytes of the version have a row of their own
	rowKnown     = iota      // number of bits known
)

func (r row) append(dst []byte, id object.VersionID) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if r.split {
		dst[at] |= rowSplit
	}
	if r.kept {
		dst[at] |= rowKept
	}
	switch {
	case r.null == 0:
	case r.null == id:
		dst[at] |= rowNullSelf
	default:
		dst[at] |= rowNullOlder
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.null))
	}
	if r.older > 0 {
		dst[at] |= rowOlder
		dst = binary.AppendUvarint(dst, r.older)
	}
	return append(dst, r.record...)
}

// parseRow reads a row without copying. A null version that is the row's own is told by self, since its id is in the record.
func parseRow(raw []byte) (r row, self bool, err error) {
	if len(raw) == 0 || raw[0]>>rowKnown != 0 {
		return row{}, false, errRow
	}
	flags, raw := raw[0], raw[1:]
	r.split, r.kept = flags&rowSplit != 0, flags&rowKept != 0
	if flags&rowNullOlder != 0 {
		if len(raw) < idLen {
			return row{}, false, errRow
		}
		r.null, raw = object.VersionID(binary.BigEndian.Uint64(raw)), raw[idLen:]
	}
	if flags&rowOlder != 0 {
		n, size := binary.Uvarint(raw)
		if size <= 0 {
			return row{}, false, errRow
		}
		r.older, raw = n, raw[size:]
	}
	r.record = raw
	return r, flags&rowNullSelf != 0, nil
}

var errRow = errs.E("metadata.parseRow", errs.Corrupt, errs.Store, "")

// head is the newest version of a name as it is stored.
type head struct {
	space byte
	row
	version *object.Version
}

// readHead reads the head of a name; nil when it has no versions. The caller holds the name's stripe, or reads from a
// view that does not change.
func readHead(db pebble.Reader, c naming.ContainerID, name naming.ObjectName) (*head, error) {
	for _, space := range [...]byte{spaceLive, spaceMarker} {
		var buf [keySize]byte
		raw, err := get(db, headKey(buf[:0], space, c, name))
		if err != nil {
			return nil, err
		}
		if raw == nil {
			continue
		}
		h := &head{space: space}
		if h.row, h.version, err = parseVersionRow(db, raw, c, name); err != nil {
			return nil, err
		}
		return h, nil
	}
	return nil, nil
}

// parseVersionRow reads the version in a row, with its detail if that is split off, but without the bytes that are kept with it: see withBody. The row
// keeps raw.
func parseVersionRow(db pebble.Reader, raw []byte, c naming.ContainerID, name naming.ObjectName) (row, *object.Version, error) {
	r, self, err := parseRow(raw)
	if err != nil {
		return row{}, nil, err
	}
	v, err := object.ParseVersion(r.record)
	if err != nil {
		return row{}, nil, err
	}
	if r.split {
		detail, err := get(db, versionKey(nil, spaceDetail, c, name, v.ID))
		if err != nil {
			return row{}, nil, err
		}
		if detail == nil {
			return row{}, nil, errs.E("metadata.parseVersionRow", errs.Corrupt, errs.Version, string(name))
		}
		if v, err = object.ParseVersion(r.record, detail); err != nil {
			return row{}, nil, err
		}
	}
	v.Name = name
	if self {
		r.null = v.ID
	}
	return r, v, nil
}

// withBody gives a version that was read from a row the bytes that are kept with it.
func withBody(db pebble.Reader, c naming.ContainerID, r row, v *object.Version) error {
	if !r.kept {
		return nil
	}
	var buf [keySize]byte
	body, err := get(db, bodyKey(buf[:0], c, v.ID, v.Name))
	if err == nil && body == nil {
		err = errs.E("metadata.withBody", errs.Corrupt, errs.Version, string(v.Name))
	}
	v.Content.Map.Kept = body
	return err
}

// readOlder reads a version from the history; nil when it is not there.
func readOlder(db pebble.Reader, c naming.ContainerID, name naming.ObjectName, id object.VersionID) (*object.Version, row, error) {
	var buf [keySize]byte
	raw, err := get(db, versionKey(buf[:0], spaceHistory, c, name, id))
	if raw == nil || err != nil {
		return nil, row{}, err
	}
	r, v, err := parseVersionRow(db, raw, c, name)
	return v, r, err
}

// firstOlder reads the newest version in the history with an id of at most id; nil when there is none.
func firstOlder(db pebble.Reader, c naming.ContainerID, name naming.ObjectName, id object.VersionID) (*object.Version, row, error) {
	prefix := versionPrefix(nil, spaceHistory, c, name)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: rowkey.After(prefix)})
	if err != nil {
		return nil, row{}, wrap(err)
	}
	defer func() { _ = it.Close() }()
	if !it.SeekGE(versionKey(nil, spaceHistory, c, name, id)) {
		return nil, row{}, wrap(it.Error())
	}
	raw, err := it.ValueAndErr()
	if err != nil {
		return nil, row{}, wrap(err)
	}
	r, v, err := parseVersionRow(db, bytes.Clone(raw), c, name)
	return v, r, err
}

// get reads a value and copies it; nil when there is none.
func get(db pebble.Reader, key []byte) ([]byte, error) { return durable.Get(db, key) }

// wrap says what an error of Pebble means.
func wrap(err error) error { return durable.Err("metadata", err) }
