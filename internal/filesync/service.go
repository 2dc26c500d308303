package filesync

import (
	"context"
	"io"
	"iter"
	"time"

	"pithos/internal/block"
)

// Object is an object of the container as the service tells of it.
type Object struct {
	Name    string    `json:"-"` // with the prefix cut off
	Size    int64     `json:"size"`
	Root    block.ID  `json:"root"`
	Type    string    `json:"type"`
	UUID    string    `json:"uuid"`
	Version uint64    `json:"version"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
	Mode    uint32    `json:"mode,omitempty"` // permission bits from the metadata, if they were asked for
}

// Content types of objects that are no files.
const (
	FolderType = "application/directory"
	LinkType   = "inode/symlink" // as in the shared MIME-info database of freedesktop.org
)

// Changed is one entry of the list of changes.
type Changed struct {
	Name    string // with the prefix cut off
	Version uint64
	Deleted bool
	Object  *Object // what it was made, if the service told
}

// Feed is what came after a point.
type Feed struct {
	Changes []Changed
	Next    string // where to go on
	More    bool
}

// Condition is what must hold for a write: the object has this root, or with None there is no object.
type Condition struct {
	None bool
	Root block.ID
}

// Source is what an upload sends.
type Source struct {
	Data   io.ReaderAt
	Blocks []block.ID
	Content
	Mode uint32 // 0: not to be kept
}

// Target is what a download writes.
type Target interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Progress is told how many bytes of a file are in place and how many went over the network.
type Progress func(done, total, moved int64)

// Service is the part of a container that is synchronised: what the engine needs of a service. Names are behind the prefix. It is safe for concurrent use.
//
// Errors are *errs.Error. Their kinds decide what happens next: Precondition and NotFound (the object is not the one that was seen), Denied, Unauthenticated, Quota,
// TooLarge and Invalid (this step cannot be done), Busy and anything else (the outcome may be unknown: look again later).
type Service interface {
	// BlockSize is the size at which objects are cut, bytes.
	BlockSize(ctx context.Context) (int64, error)
	// Totals counts what List would tell, cheaply; known is false if that is not possible.
	Totals(ctx context.Context) (objects, bytes int64, known bool, err error)
	// List tells all objects.
	List(ctx context.Context) iter.Seq2[*Object, error]
	// Stat looks at one object; nil if it is not there.
	Stat(ctx context.Context, name string) (*Object, error)
	// Now is a point in the list of changes: what happens from now on comes after it. Denied: there is no list for this user.
	Now(ctx context.Context) (string, error)
	// Changes tells what came after a point, and waits up to wait for something to come; without waiting it tells of the last change of each name what was made,
	// where that is cheap. Invalid: the point is not known.
	Changes(ctx context.Context, point string, wait time.Duration) (*Feed, error)
	// Put makes an object out of blocks, sending those that the service lacks.
	Put(ctx context.Context, name string, s Source, c Condition, p Progress) (made *Object, sent int64, err error)
	// Get writes an object into a file, of which it keeps what is right, or find knows, and names its blocks. It fails with Precondition if the object is not the one given.
	Get(ctx context.Context, o *Object, dst Target, have int64, find func(id block.ID, size int64) []byte, p Progress) (blocks []block.ID, fetched int64, err error)
	// Move gives an object another name, at which nothing may be; with tree everything below it too.
	Move(ctx context.Context, from, to string, tree bool) error
	// Remove deletes an object that has this root.
	Remove(ctx context.Context, name string, root block.ID) error
}
