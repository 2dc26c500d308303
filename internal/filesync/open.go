package filesync

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"pithos/internal/clock"
	"pithos/internal/errs"
)

// Names of files in a state directory.
const (
	lockName   = "lock"
	statusFile = "status.json"
)

// Options say what is synchronised, and how.
type Options struct {
	Dir     string  // the folder; made if it is not there and was never synchronised
	States  string  // directory of all states
	Service Service // the container
	Target  string  // its name, for people and for the state
	Prefix  string  // of the objects' names, for the limit of their length
	User    string  // who works here, for the names of conflict copies
	Clock   clock.Clock

	Links  bool // keep symbolic links as objects; else they are skipped
	Modes  bool // keep permission bits in the metadata
	Force  bool // go on although the folder or the container has lost everything
	Fresh  bool // forget the state: merge both sides, delete nothing
	DryRun bool // change nothing on either side, and keep no state

	Parallel  int           // files on the way at once: 8
	ScanEvery time.Duration // between scans of the folder that no event asked for: 10 minutes
	ListEvery time.Duration // between listings of the container: 1 hour
	Events    func(Event)   // is told what is done; called by one goroutine at a time
	Watch     func(*Status) // is shown the status now and then; called by one goroutine at a time, and must not keep it
	Rules     *Rules        // of the file system; nil asks it
}

const (
	parallelDefault  = 8
	scanEveryDefault = 10 * time.Minute
	listEveryDefault = time.Hour
)

// Sync is one folder that is being synchronised. It is for one goroutine.
type Sync struct {
	o       Options
	dir     string
	disk    *disk
	lock    *os.File
	state   *state
	mirror  *mirror
	board   *board
	rules   Rules
	ignore  *Ignore
	block   int64
	local   map[string]*Local   // of the last scan
	olds    map[string]oldFile  // what was replaced or deleted, by where it is now
	doubt   map[string]struct{} // objects that a step may have changed before it failed
	failing map[string]Failure
}

// oldFile is what stood at a name before it was replaced or deleted.
type oldFile struct {
	name  string
	print Print
	since time.Time
}

// StateDir is where the state of a folder is kept.
func StateDir(states, dir string) (string, error) {
	abs, err := realPath(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(states, hex.EncodeToString(sum[:12])), nil
}

// realPath is the path without links; what is not there yet stays as written.
func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return abs, nil
	}
	return real, err
}

// Open prepares to synchronise a folder: takes its lock, opens its state and makes sure that it is the folder that the state belongs to.
//
// Errors: Busy when another process synchronises the folder; Conflict when the folder is not the one that the state knows, or is synchronised with something else; Invalid when it is
// no folder; those of the service.
func Open(ctx context.Context, o Options) (_ *Sync, err error) {
	const op = "filesync.Open"
	o.Parallel = max(o.Parallel, 0)
	for _, d := range []struct{ field, value *time.Duration }{{&o.ScanEvery, ptr(scanEveryDefault)}, {&o.ListEvery, ptr(listEveryDefault)}} {
		if *d.field <= 0 {
			*d.field = *d.value
		}
	}
	if o.Parallel == 0 {
		o.Parallel = parallelDefault
	}
	s := &Sync{o: o, olds: map[string]oldFile{}, doubt: map[string]struct{}{}, failing: map[string]Failure{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.dir, err = realPath(o.Dir); err != nil {
		return nil, errs.Wrap(op, errs.Invalid, err)
	}
	dir, err := StateDir(o.States, o.Dir)
	if err != nil {
		return nil, errs.Wrap(op, errs.Invalid, err)
	}
	if !o.DryRun {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if s.lock, err = lockState(ctx, dir); err != nil {
			return nil, err
		}
	}
	if s.state, err = openState(dir, o.DryRun); err != nil {
		return nil, err
	}
	s.board = &board{flying: map[string]*InFlight{}, now: o.Clock.Now, events: o.Events, watch: o.Watch, s: Status{Dir: s.dir, Target: o.Target, PID: os.Getpid(), State: StateWorking}}
	if !o.DryRun {
		s.board.file = filepath.Join(dir, statusFile)
	}
	if err := s.openDir(); err != nil {
		return nil, err
	}
	s.mirror = &mirror{state: s.state, service: o.Service}
	if err := s.identify(ctx); err != nil {
		return nil, err
	}
	if err := s.askRules(); err != nil {
		return nil, err
	}
	return s, s.state.flush()
}

func ptr[T any](v T) *T { return &v }

const (
	lockTries = 5
	lockWait  = 50 * time.Millisecond
)

// lockState takes the lock of a state directory.
func lockState(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ok, err := lockFile(f)
	for try := 0; try < lockTries && err == nil && !ok; try++ { // who asks for the status holds it for a moment
		if err = clock.Wait(ctx, lockWait); err == nil {
			ok, err = lockFile(f)
		}
	}
	if err == nil && !ok {
		err = errs.E("filesync.Open", errs.Busy, errs.NoThing, "").Because("", "the folder is being synchronised by another process")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// locked reports whether a process synchronises the folder of a state directory.
func locked(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ok, err := lockFile(f)
	return !ok, errors.Join(err, f.Close())
}

func (s *Sync) openDir() error {
	if s.state.Identity.ID == "" && !s.o.DryRun {
		if err := os.MkdirAll(s.dir, 0o777); err != nil {
			return errs.Wrap("filesync.Open", errs.Invalid, err)
		}
	}
	d, err := openDisk(s.dir)
	if err != nil {
		return errs.E("filesync.Open", errs.Invalid, errs.NoThing, "").Because("", s.dir+" cannot be opened: "+reason(err)).With(err)
	}
	s.disk = d
	return nil
}

// identify makes sure that the folder is the one that the state belongs to, and makes both know each other if they are new.
func (s *Sync) identify(ctx context.Context) error {
	bs, err := s.o.Service.BlockSize(ctx)
	if err != nil {
		return err
	}
	s.block = bs
	id := s.state.Identity
	if s.o.Fresh && !s.o.DryRun {
		s.state.forget()
		id = Identity{}
	}
	if id.ID != "" && id.Target != s.o.Target {
		return refuse(fmt.Sprintf("%s is synchronised with %s; to synchronise it with %s from now on, add --fresh", s.dir, id.Target, s.o.Target))
	}
	if id.ID != "" && !s.o.Force {
		if err := s.known(id.ID); err != nil {
			return err
		}
	}
	if s.o.DryRun {
		return nil
	}
	if id.BlockSize != 0 && id.BlockSize != bs { // what is known of contents means nothing any more
		s.state.forget()
	}
	if id.ID == "" {
		id.ID = rand.Text()
	}
	id.Dir, id.Target, id.BlockSize = s.dir, s.o.Target, bs
	s.state.setIdentity(id)
	if err := s.state.flush(); err != nil {
		return err
	}
	return s.mark(id.ID)
}

// known makes sure that the folder has the marker that the state knows: one that was not mounted, or emptied, has none.
func (s *Sync) known(id string) error {
	raw, err := s.disk.root.ReadFile(markerFile)
	text, _, _ := strings.Cut(string(raw), "\n")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(s.dir + " is not the folder that was synchronised before: its file " + markerFile + " is missing. Is it mounted? " +
			"If you emptied it, --force deletes on the service what is gone here; --fresh merges both sides and deletes nothing")
	case err != nil:
		return err
	case text != id:
		return refuse(s.dir + " is not the folder that was synchronised before: its file " + markerFile + " is another's. " +
			"--fresh merges both sides and deletes nothing; --force takes it for the same folder")
	}
	return nil
}

// refuse is the error of a synchronisation that could do harm.
func refuse(why string) error {
	return errs.E("filesync", errs.Conflict, errs.NoThing, "").Because("", why)
}

func (s *Sync) mark(id string) error {
	if raw, err := s.disk.root.ReadFile(markerFile); err == nil && strings.HasPrefix(string(raw), id+"\n") {
		return nil
	}
	text := id + "\nThis file tells pithos sync that this is the folder which it knows. It is not synchronised; do not delete it.\n"
	temp := newName(markerFile)
	f, err := s.disk.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.disk.root.Rename(temp, markerFile); err != nil {
		return err
	}
	return s.disk.syncFolder(".")
}

// askRules asks the file system which names it takes for the same.
func (s *Sync) askRules() error {
	if s.o.Rules != nil {
		s.rules = *s.o.Rules
		return nil
	}
	s.rules.Windows = runtime.GOOS == "windows"
	if s.o.DryRun {
		return nil
	}
	f, err := s.disk.root.OpenFile(probeFile, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	kind, _, err := s.disk.look(strings.Replace(probeFile, "aA", "AA", 1))
	s.rules.FoldCase = err == nil && kind == File
	kind, _, err = s.disk.look(strings.Replace(probeFile, "é", "e\u0301", 1))
	s.rules.FoldForm = err == nil && kind == File
	return s.disk.root.Remove(probeFile)
}

// Close gives the folder free.
func (s *Sync) Close() error {
	var err error
	if s.state != nil {
		err = s.state.close()
	}
	if s.disk != nil {
		err = errors.Join(err, s.disk.root.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}
