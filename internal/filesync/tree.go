package filesync

import (
	"time"

	"pithos/internal/block"
)

// Kind is what stands at a name.
type Kind uint8

// The kinds.
const (
	Nothing Kind = iota
	File
	Folder
	Link // a symbolic link, where links are kept; its content is its target
	Odd  // what is not synchronised, such as a socket or a folder that cannot be read
)

var kindNames = [...]string{"nothing", "file", "folder", "link", "other"}

func (k Kind) String() string { return kindNames[k] }

// Content is what has to be equal on both sides. A folder has neither size nor root.
type Content struct {
	Kind Kind     `json:"kind"`
	Size int64    `json:"size,omitempty"`
	Root block.ID `json:"root"`
}

// data reports whether it has bytes.
func (c Content) data() bool { return c.Kind == File || c.Kind == Link }

// Print tells cheaply whether a local file may have changed.
type Print struct {
	Size   int64  `json:"size"`
	Mtime  int64  `json:"mtime"` // nanoseconds since 1970
	Ctime  int64  `json:"ctime,omitempty"`
	Inode  uint64 `json:"inode,omitempty"`
	Device uint64 `json:"device,omitempty"`
	Mode   uint32 `json:"mode,omitempty"` // permission bits; not compared
}

// same reports whether nothing happened to the file between two looks.
func (p Print) same(q Print) bool {
	p.Mode, q.Mode = 0, 0
	return p == q
}

// moved is same for a file that was renamed between, which changes its ctime.
func (p Print) moved(q Print) bool {
	p.Ctime, q.Ctime = 0, 0
	return p.same(q)
}

// Local is what the folder holds at a name.
type Local struct {
	Content
	Print  Print
	Blocks []block.ID // of a file
	Racy   bool       // it may have changed after it was read without its Print showing it
	Busy   bool       // it changed while it was read: its content is not known
	Loose  bool       // a folder that holds nothing but what is ignored
	Why    string     // why it is Odd
}

// Remote is what the container holds at a name.
type Remote struct {
	Content
	UUID    string    // stays when the object is moved
	Version uint64    // 0: not known
	By      string    // who made it
	At      time.Time // when; zero: not known
	Implied bool      // a folder without an object: names lie below it
	Marker  bool      // an implied folder that has an object called like it with a slash behind
	Why     string    // why it is Odd
}

// Base is what both sides held when they were last known to be equal.
type Base struct {
	Content
	UUID   string     `json:"uuid,omitempty"`
	Print  Print      `json:"print"`
	Blocks []block.ID `json:"blocks,omitempty"`
	Racy   bool       `json:"racy,omitempty"`
}

// View is what a plan is made from. Names are relative to the folder and the prefix.
type View struct {
	Local  map[string]*Local
	Remote map[string]*Remote
	Base   map[string]*Base
}

// Action is one kind of step.
type Action uint8

// The actions. Those up to Forget change the state alone.
const (
	Keep         Action = iota // nothing to do
	Agree                      // both sides are equal: remember it
	Forget                     // both sides are gone, or it is no longer to be synchronised
	AsideLocal                 // give the local file the name of a conflict copy
	AsideRemote                // give the object the name of a conflict copy
	MoveRemote                 // Name was renamed to To here: move the object
	MoveLocal                  // Name was moved to To there: rename the file
	Upload                     // make the object what the local file, link or folder is
	Download                   // make the local file, link or folder what the object is
	RemoveRemote               // delete the object
	RemoveLocal                // delete the local file, link or empty folder
)

var actionNames = [...]string{
	"keep", "agree", "forget", "set aside", "set remote aside", "move remote", "move local", "upload", "download", "delete remote", "delete local",
}

func (a Action) String() string { return actionNames[a] }

// Op is a step of a plan, with what was seen when it was planned: the conditions under which it may be done. Nil: nothing was there.
type Op struct {
	Do     Action
	Name   string
	To     string // of moves
	Tree   bool   // of moves: with all that lies below
	Local  *Local
	Remote *Remote
	Base   *Base
}

// Skip is a name that is left alone, and why.
type Skip struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Plan is what a round will do. Ops stand in stages: those of one stage may be done at once, a stage begins when the one before has ended.
type Plan struct {
	Stages [][]Op
	Skips  []Skip
	// Held are deletions that are not done because nearly everything would go: see Limits.
	HeldLocal, HeldRemote int
}

// Ops counts the steps that change one of the sides.
func (p *Plan) Ops() int {
	n := 0
	for _, s := range p.Stages {
		for i := range s {
			if s[i].Do > Forget {
				n++
			}
		}
	}
	return n
}
