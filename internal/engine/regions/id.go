package regions

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"

	"pithos/internal/block"
	"pithos/internal/naming"
)

// Ids of containers in further regions begin with mark and the region's tag, and end with 64 random bits. Those of holders begin with a longer tag and
// end with 80 random bits, of which there are enough for the holders of all writes. Ids of the default region are random as a whole, as they were before there were regions.
//
// A random id looks like one of some further region with a chance of 2^-32 for a container, which would then be refused, and of 2^-48 for a holder. The latter
// harms nothing: versions name their holders in the region of their container, and Alive asks all regions before it calls a holder unknown.
const (
	containerTag = 4
	holderTag    = 6
)

// mark is how a gateway that knows no regions, or not this one, tells that a container is not its own.
var mark = [...]byte{0xf1, 0x7a, 0xc0, 0x1d}

// tag is what ids of a region have of its name.
type tag [sha256.Size]byte

func tagOf(region string) tag { return sha256.Sum256([]byte("pithos region " + region)) }

func (t *tag) container(id naming.ContainerID) bool {
	return bytes.Equal(id[len(mark):len(mark)+containerTag], t[:containerTag])
}

func (t *tag) holder(h block.Holder) bool { return bytes.Equal(h[:holderTag], t[:holderTag]) }

func (t *tag) newContainer() naming.ContainerID {
	var id naming.ContainerID
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails (Go 1.24)
	copy(id[:], mark[:])
	copy(id[len(mark):], t[:containerTag])
	return id
}

func (t *tag) newHolder() block.Holder {
	h := block.NewHolder()
	copy(h[:], t[:holderTag])
	return h
}

// marked reports whether a container lives in a further region, known or not.
func marked(id naming.ContainerID) bool { return bytes.Equal(id[:len(mark)], mark[:]) }
