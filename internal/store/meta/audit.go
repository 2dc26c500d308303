package meta

import (
	"context"
	"fmt"

	"pithos/internal/naming"
	"pithos/internal/object"
)

// Auditor is the ability to compare the bytes that are kept with versions (block.Map.Kept) with their hash. A Store may have it; the scrubber asks
// for it, since no blobstore knows of these bytes.
type Auditor interface {
	// AuditBodies goes through the versions behind a place, in the engine's own order ("": from the start), until it has read about limit bytes or has
	// looked at many versions, and tells found of each that keeps its bytes. next is where to go on; "" says that the end was reached. read is
	// what it cost, in bytes, with the records that were read. What comes or goes meanwhile may be seen or not.
	//
	// An engine that keeps several copies reads each that it can reach, and, when some are damaged or missing and one is good, writes the good bytes anew.
	// An error of found ends the walk and is returned; next is where to go on after an error, too.
	AuditBodies(ctx context.Context, from string, limit int64, found func(BodyAudit) error) (next string, read int64, err error)
}

// BodyAudit is what the audit of the bytes that are kept with a version found.
type BodyAudit struct {
	Container naming.ContainerID
	Name      naming.ObjectName
	ID        object.VersionID

	Bytes   int64 // read, of all copies
	Copies  int   // read, where the engine keeps several
	Bad     int   // copies with other bytes than those of the hash
	Missing int   // copies that are not there
	Damaged bool  // no copy is good: whoever reads the version gets an error
	Healed  bool  // those that were bad or missing are good now
	Err     error // they could not be read, for another reason
	// Failing are the nodes, by address, that could not read their own copies. They are no copies that were read; only their operator can mend them.
	Failing []string
	// Unreached is how many copies nobody looked at, since their nodes do not answer.
	Unreached int
}

// String names the version, for people.
func (a BodyAudit) String() string { return VersionName(a.Container, a.Name, a.ID) }

// VersionName names a version for people, where only a metastore is known.
func VersionName(c naming.ContainerID, name naming.ObjectName, id object.VersionID) string {
	return fmt.Sprintf("%v/%s@%d", c, name, id)
}
