package metadata

import (
	"encoding/binary"
	"time"

	"pithos/internal/block"
	"pithos/internal/engine/embedded/rowkey"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// The key spaces of the metastore; docs/formats/keys.md draws them; a name with a star is in the form of package rowkey. The first byte of every key is stored: never change one, never use
// one again. Integers are big endian, so that byte order is their order.
const (
	spaceLive    = 0x01 // container, name: the newest version, when it is not a delete marker
	spaceMarker  = 0x02 // container, name: the newest version, when it is a delete marker
	spaceHistory = 0x03 // container, name*, ^id: a version below the newest
	spaceDetail  = 0x04 // container, name*, ^id: the detail of a version, when it is long
	spaceJournal = 0x05 // container, id, name: every version
	spaceExpiry  = 0x06 // time, container, id, name: every version that expires
	spaceBody    = 0x07 // container, id, name: the bytes of a version that keeps them

	spaceIntent = 0x10 // holder: an intent
	spaceLease  = 0x11 // time, holder: an intent that outlives the process, by its end
	spaceHolder = 0x12 // holder: how many names it has, or that it is dead
	spaceDead   = 0x13 // time, holder: a dead holder

	spaceAccount   = 0x20 // account: its counters
	spaceContainer = 0x21 // container: its counters
	spaceSeal      = 0x22 // container: it is sealed; "dropped" if for good
	spaceOwner     = 0x23 // container: the account that its counters are added up in

	spaceUpload     = 0x30 // container, name*, upload id: an open upload
	spacePart       = 0x31 // container, name*, upload id*, number: a part of one
	spaceCompletion = 0x32 // container, name*, upload id: what an upload became
	spaceCompleted  = 0x33 // time, then as spaceCompletion: completions by time
)

const (
	prefixLen = 1 + len(naming.ContainerID{}) // of keys that begin with a container
	idLen     = 8
	keySize   = 128 // room for most keys, so that they need no allocation
)

func appendContainer(dst []byte, space byte, c naming.ContainerID) []byte {
	return append(append(dst, space), c[:]...)
}

// headKey is the key of the newest version of a name, in spaceLive or spaceMarker.
func headKey(dst []byte, space byte, c naming.ContainerID, name naming.ObjectName) []byte {
	return append(appendContainer(dst, space, c), name...)
}

// versionPrefix is what the keys of all versions of a name begin with, in spaceHistory or spaceDetail.
func versionPrefix(dst []byte, space byte, c naming.ContainerID, name naming.ObjectName) []byte {
	return rowkey.AppendName(appendContainer(dst, space, c), name)
}

// versionKey is the key of a version. Newer versions come first.
func versionKey(dst []byte, space byte, c naming.ContainerID, name naming.ObjectName, id object.VersionID) []byte {
	return binary.BigEndian.AppendUint64(versionPrefix(dst, space, c, name), ^uint64(id))
}

// cutVersionKey reads the name and id of a key in spaceHistory or spaceDetail.
func cutVersionKey(key []byte) (c naming.ContainerID, name naming.ObjectName, id object.VersionID, ok bool) {
	if len(key) < prefixLen {
		return c, "", 0, false
	}
	copy(c[:], key[1:])
	s, rest, ok := rowkey.CutName(key[prefixLen:])
	if !ok || len(rest) != idLen {
		return c, "", 0, false
	}
	return c, naming.ObjectName(s), object.VersionID(^binary.BigEndian.Uint64(rest)), true
}

func journalKey(dst []byte, c naming.ContainerID, id object.VersionID, name naming.ObjectName) []byte {
	return orderedKey(dst, spaceJournal, c, id, name)
}

// bodyKey is the key of the bytes that a version keeps. They stand in the order in which they were written, so that new ones do not lie among old ones, which
// compactions would then write again and again.
func bodyKey(dst []byte, c naming.ContainerID, id object.VersionID, name naming.ObjectName) []byte {
	return orderedKey(dst, spaceBody, c, id, name)
}

// orderedKey is the key of a version among those of its container by their ids, in spaceJournal or spaceBody.
func orderedKey(dst []byte, space byte, c naming.ContainerID, id object.VersionID, name naming.ObjectName) []byte {
	dst = binary.BigEndian.AppendUint64(appendContainer(dst, space, c), uint64(id))
	return append(dst, name...)
}

// cutOrderedKey reads a key of orderedKey.
func cutOrderedKey(key []byte) (c naming.ContainerID, id object.VersionID, name naming.ObjectName, ok bool) {
	if len(key) < prefixLen+idLen {
		return c, 0, "", false
	}
	copy(c[:], key[1:])
	return c, object.VersionID(binary.BigEndian.Uint64(key[prefixLen:])), naming.ObjectName(key[prefixLen+idLen:]), true
}

// appendTime writes microseconds since the epoch, so shifted that earlier times, also those before it, come first.
func appendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(micros(t))^(1<<63))
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func timeOf(raw []byte) time.Time {
	us := int64(binary.BigEndian.Uint64(raw) ^ (1 << 63))
	if us == (time.Time{}).UnixMicro() {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// timeAfter is the first key of a space after those of time t.
func timeAfter(space byte, t time.Time) []byte {
	return appendTime([]byte{space}, t.Add(time.Microsecond))
}

func expiryKey(dst []byte, at time.Time, c naming.ContainerID, id object.VersionID, name naming.ObjectName) []byte {
	dst = append(appendTime(append(dst, spaceExpiry), at), c[:]...)
	return append(binary.BigEndian.AppendUint64(dst, uint64(id)), name...)
}

func cutExpiryKey(key []byte) (meta.DueVersion, bool) {
	const containerAt = 1 + idLen
	const idAt = containerAt + len(naming.ContainerID{})
	var d meta.DueVersion
	if len(key) < idAt+idLen {
		return d, false
	}
	d.Expires = timeOf(key[1:])
	copy(d.Container[:], key[containerAt:])
	d.ID = object.VersionID(binary.BigEndian.Uint64(key[idAt:]))
	d.Name = naming.ObjectName(key[idAt+idLen:])
	return d, true
}

func holderKey(dst []byte, space byte, h block.Holder) []byte {
	return append(append(dst, space), h[:]...)
}

// timedHolderKey is a key in spaceLease or spaceDead.
func timedHolderKey(dst []byte, space byte, at time.Time, h block.Holder) []byte {
	return append(appendTime(append(dst, space), at), h[:]...)
}

func cutTimedHolderKey(key []byte) (at time.Time, h block.Holder, ok bool) {
	if len(key) != 1+idLen+len(h) {
		return at, h, false
	}
	copy(h[:], key[1+idLen:])
	return timeOf(key[1:]), h, true
}

func accountKey(dst []byte, a naming.AccountID) []byte {
	return append(append(dst, spaceAccount), a...)
}

// uploadKey is a key in spaceUpload or spaceCompletion.
func uploadKey(dst []byte, space byte, k meta.UploadKey) []byte {
	return append(versionPrefix(dst, space, k.Container, k.Name), k.ID...)
}

// cutUploadKey reads what follows the space byte of an upload's key.
func cutUploadKey(raw []byte) (k meta.UploadKey, ok bool) {
	if len(raw) < len(k.Container) {
		return k, false
	}
	n := copy(k.Container[:], raw)
	name, id, ok := rowkey.CutName(raw[n:])
	k.Name, k.ID = naming.ObjectName(name), string(id)
	return k, ok
}

func completedKey(dst []byte, at time.Time, k meta.UploadKey) []byte {
	dst = append(appendTime(append(dst, spaceCompleted), at), k.Container[:]...)
	return append(rowkey.AppendName(dst, k.Name), k.ID...)
}

func partPrefix(dst []byte, k meta.UploadKey) []byte {
	return rowkey.AppendName(versionPrefix(dst, spacePart, k.Container, k.Name), k.ID)
}

func partKey(dst []byte, k meta.UploadKey, number int) []byte {
	return binary.BigEndian.AppendUint32(partPrefix(dst, k), uint32(number))
}

func cutPartKey(key []byte) (k meta.UploadKey, number int, ok bool) {
	if len(key) < prefixLen {
		return k, 0, false
	}
	copy(k.Container[:], key[1:])
	name, rest, ok := rowkey.CutName(key[prefixLen:])
	if !ok {
		return k, 0, false
	}
	id, rest, ok := rowkey.CutName(rest)
	if !ok || len(rest) != 4 {
		return k, 0, false
	}
	k.Name, k.ID = naming.ObjectName(name), id
	return k, int(binary.BigEndian.Uint32(rest)), true
}
