// Package errs is the one error type of Pithos.
//
// Every error that crosses a package edge is an *Error: it says which operation
// failed, what kind of failure it was and on which thing. A door turns the kind
// (and, where its protocol needs finer words, the thing and the reason) into a
// status in exactly one table. Compare kinds, never message text.
package errs

import (
	"errors"
	"strconv"
	"strings"
)

// Kind is the closed list of ways in which an operation can fail. The order is
// stable; new kinds go at the end. Both protocol tables cover it exhaustively.
type Kind uint8

const (
	Internal        Kind = iota // a bug, or a failure that has no better word
	Invalid                     // the request makes no sense; Reason says why
	Unauthenticated             // the caller is not who it claims to be
	Denied                      // the caller may not do this
	NotFound                    // the Thing does not exist
	Exists                      // the name is taken; see Owner
	NotEmpty                    // the container still holds something
	Conflict                    // a revision moved under the caller: read again
	Precondition                // a condition of the client does not hold
	NotModified                 // a read condition says: you already have it
	Range                       // the range lies outside the object
	TooLarge                    // over a limit of size or count
	Quota                       // over a quota of the account or container
	Unsupported                 // known, but not served
	Busy                        // overload, a node down, a deadline: try later
	Ambiguous                   // may or may not have happened
	Corrupt                     // stored bytes do not match their identity
	Canceled                    // the client left
	Full                        // no space left for new data
	Closed                      // the store was closed
	kinds                       // number of kinds
)

var kindNames = [kinds]string{
	"internal error", "invalid", "unauthenticated", "denied", "not found", "exists", "not empty", "conflict",
	"precondition failed", "not modified", "range not satisfiable", "too large", "quota exceeded", "unsupported",
	"busy", "outcome unknown", "corrupt", "canceled", "no space", "closed",
}

// Kinds lists every kind, in order. Protocol tables are tested against it.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown kind"
}

// Thing is what an operation failed on.
type Thing uint8

const (
	NoThing Thing = iota
	Account
	User
	Key // an access key
	Container
	Bucket // a global bucket name
	Object
	Version
	Upload
	Part
	Block
	Holder
	Request // the request itself: a header, the body, a parameter
	Config  // a sub-resource or document of a container; Name says which
	Store   // the store as a whole
	SealKey // a key that encrypts objects, of the key ring or a key service
)

var thingNames = [...]string{
	"", "account", "user", "access key", "container", "bucket", "object", "version", "upload", "part",
	"block", "holder", "request", "configuration", "store", "encryption key",
}

func (t Thing) String() string {
	if int(t) < len(thingNames) {
		return thingNames[t]
	}
	return "thing"
}

// Reason refines Invalid, Denied and TooLarge where a protocol has several words for one kind.
// It is a closed list too: a door's table may switch on it.
type Reason string

const (
	BadDigest      Reason = "bad-digest"       // Content-MD5 or a checksum does not match the bytes
	BadSHA256      Reason = "bad-sha256"       // the signed payload hash does not match the bytes
	IncompleteBody Reason = "incomplete-body"  // fewer bytes than declared
	ExcessBody     Reason = "excess-body"      // more bytes than declared
	PartOrder      Reason = "part-order"       // parts are not in ascending order
	PartMissing    Reason = "part-missing"     // a named part does not exist or its ETag differs
	PartTooSmall   Reason = "part-too-small"   // a part other than the last is under the minimum
	PartNumber     Reason = "part-number"      // part number out of range
	BadName        Reason = "bad-name"         // a name breaks the rules of its kind
	NameTooLong    Reason = "name-too-long"    // a name is over its limit
	MetaTooLarge   Reason = "meta-too-large"   // user metadata over the limit
	EntityTooLarge Reason = "entity-too-large" // body over the limit
	BadSyntax      Reason = "bad-syntax"       // a document cannot be parsed
	BadPolicy      Reason = "bad-policy"       // an access policy breaks the rules of its language
	BadState       Reason = "bad-state"        // the operation does not fit the present state of the thing
	SelfCopy       Reason = "self-copy"        // a copy onto itself that changes nothing
	BadSource      Reason = "bad-source"       // a copy source that cannot be used
	SlowBody       Reason = "slow-body"        // the client sent nothing for too long
	MarkerTarget   Reason = "marker-target"    // the version is a delete marker
	Locked         Reason = "locked"           // retention or a legal hold forbids it
	ACLsDisabled   Reason = "acls-disabled"    // the container's owner owns everything: access control lists cannot be set
	ACLsInTheWay   Reason = "acls-in-the-way"  // lists cannot be disabled while the container's list grants something to others
	ChecksumType   Reason = "checksum-type"    // the algorithm or type of a checksum is not the one that the upload was begun with
	SizeDiffers    Reason = "size-differs"     // the assembled size is not the one that the client expects
	Broken         Reason = "broken"           // what a link or manifest names cannot be had
	KeyRequired    Reason = "key-required"     // the content is encrypted with the client's own key, which the request lacks
	KeyMismatch    Reason = "key-mismatch"     // the client's key is not the one with which the content was encrypted
	KeyUnwanted    Reason = "key-unwanted"     // the client brings a key for content that is not encrypted with one
	Older          Reason = "older"            // the thing has a change that is newer
	BadRegion      Reason = "bad-region"       // there is no region of that name
	KeyLost        Reason = "key-lost"         // the key that opens the content is gone from the key ring or the key service
)

// Error is an operation that failed.
type Error struct {
	Op     string // package.Function, set at exported edges only
	Kind   Kind
	Thing  Thing
	Name   string // of the thing, when known
	Reason Reason
	Msg    string // for the client; says what to do next; holds no secret and nothing internal
	Err    error  // the cause, for the log only
}

// E builds an error without a cause.
func E(op string, kind Kind, thing Thing, name string) *Error {
	return &Error{Op: op, Kind: kind, Thing: thing, Name: name}
}

// Wrap builds an error around a cause. If cause is an *Error, kind Internal takes over the cause's kind.
func Wrap(op string, kind Kind, cause error) *Error {
	e := &Error{Op: op, Kind: kind, Err: cause}
	var inner *Error
	if kind == Internal && errors.As(cause, &inner) {
		e.Kind, e.Thing, e.Name, e.Reason, e.Msg = inner.Kind, inner.Thing, inner.Name, inner.Reason, inner.Msg
	}
	return e
}

// Because sets the reason and the public message and returns e.
func (e *Error) Because(r Reason, msg string) *Error {
	e.Reason, e.Msg = r, msg
	return e
}

// With sets the cause and returns e.
func (e *Error) With(cause error) *Error {
	e.Err = cause
	return e
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	if e.Thing != NoThing {
		b.WriteString(e.Thing.String())
		if e.Name != "" {
			b.WriteString(" ")
			b.WriteString(strconv.Quote(e.Name))
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Kind.String())
	if e.Reason != "" {
		b.WriteString(" (" + string(e.Reason) + ")")
	}
	if e.Msg != "" {
		b.WriteString(": " + e.Msg)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap makes errors.Is and errors.As see the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the outermost *Error in err's chain; Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// IsThing reports whether err is of the kind and about the thing.
func IsThing(err error, k Kind, t Thing) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k && e.Thing == t
}

// ReasonOf is the reason of the outermost *Error in err's chain, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
