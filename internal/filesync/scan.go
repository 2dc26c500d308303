package filesync

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"pithos/internal/block"
)

// scanner reads the folder.
type scanner struct {
	disk      *disk
	blockSize int64
	prefix    string // of objects, for the length of names
	rules     Rules
	ignore    *Ignore
	links     bool                                                               // keep symbolic links as objects
	now       func() time.Time                                                   // to know which files may still change without showing it
	known     func(name string, p Print) (c Content, blocks []block.ID, ok bool) // of a file that has this print now
	workers   int

	mu    sync.Mutex
	local map[string]*Local
	skips []Skip
	olds  []string // files with old names that were found
	news  []string // and downloads that are not complete
}

// Coarse is how far apart two writes must be for their times to differ: on file systems of today, and on those that know whole seconds alone.
const (
	tickFine   = 20 * time.Millisecond
	tickCoarse = 2 * time.Second
)

// racy reports whether a file that was read at a moment may have changed afterwards with the same print.
func racy(p Print, read time.Time) bool {
	tick := tickFine
	if p.Mtime%int64(time.Second) == 0 {
		tick = tickCoarse
	}
	return p.Mtime > read.Add(-tick).UnixNano()
}

// scan reads the whole folder. What cannot be read is Odd, so that it is not taken for deleted.
func (s *scanner) scan(ctx context.Context) error {
	s.local = map[string]*Local{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, s.workers))
	if _, err := s.folder(ctx, ".", group); err != nil {
		return errors.Join(err, group.Wait())
	}
	return group.Wait()
}

func (s *scanner) put(name string, l *Local) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local[name] = l
}

// folder reads a folder and all below. held reports whether it holds anything that is synchronised, or nothing at all.
func (s *scanner) folder(ctx context.Context, dir string, group *errgroup.Group) (held bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	entries, err := s.disk.list(dir)
	if err != nil {
		if dir == "." {
			return false, err
		}
		if errors.Is(err, fs.ErrNotExist) {
			s.put(dir, &Local{Content: Content{Kind: Folder}, Busy: true})
			return true, nil
		}
		s.put(dir, &Local{Content: Content{Kind: Odd}, Why: "the folder cannot be read: " + reason(err)})
		return true, nil
	}
	ignored := false
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ownPrefix) {
			if err := s.own(name, e.Name()); err != nil {
				return false, err
			}
			continue
		}
		if s.ignore.Match(name, e.IsDir()) {
			ignored = true
			continue
		}
		has, err := s.entry(ctx, name, e, group)
		if err != nil {
			return false, err
		}
		held = held || has
		ignored = ignored || !has
	}
	return held || !ignored, nil
}

// own notes what the synchronisation has left.
func (s *scanner) own(name, base string) error {
	switch {
	case name == oldFolder:
		entries, err := s.disk.list(name)
		for _, e := range entries {
			s.olds = append(s.olds, path.Join(name, e.Name()))
		}
		return err
	case strings.HasPrefix(base, newPrefix):
		s.news = append(s.news, name)
	}
	return nil
}

func (s *scanner) entry(ctx context.Context, name string, e fs.DirEntry, group *errgroup.Group) (held bool, err error) {
	if !utf8.ValidString(name) {
		s.skips = append(s.skips, Skip{strings.ToValidUTF8(name, "\uFFFD"), "the name is not UTF-8"})
		return true, nil
	}
	if why := s.rules.refuseUpload(s.prefix, name); why != "" {
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: why})
		return true, nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: "it cannot be looked at: " + reason(err)})
		return true, nil
	}
	print := printOf(info)
	switch kindOf(info.Mode()) {
	case Folder:
		s.put(name, &Local{Content: Content{Kind: Folder}, Print: print})
		held, err := s.folder(ctx, name, group)
		if err == nil && !held {
			s.put(name, &Local{Content: Content{Kind: Folder}, Print: print, Loose: true})
		}
		return held, err
	case File:
		s.file(ctx, name, print, group)
	case Link:
		s.link(name, print)
	default:
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: "it is neither a file nor a folder"})
	}
	return true, nil
}

// file names the content of a file: from what is known, or by reading it.
func (s *scanner) file(ctx context.Context, name string, print Print, group *errgroup.Group) {
	if c, blocks, ok := s.known(name, print); ok {
		s.put(name, &Local{Content: c, Print: print, Blocks: blocks})
		return
	}
	s.put(name, &Local{Content: Content{Kind: File}, Print: print, Busy: true})
	group.Go(func() error {
		began := s.now()
		c, blocks, busy, err := s.disk.readFile(ctx, name, print, s.blockSize)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case busy || errors.Is(err, fs.ErrNotExist):
		case err != nil:
			s.put(name, &Local{Content: Content{Kind: Odd}, Why: "it cannot be read: " + reason(err)})
		default:
			s.put(name, &Local{Content: c, Print: print, Blocks: blocks, Racy: racy(print, began)})
		}
		return nil
	})
}

func (s *scanner) link(name string, print Print) {
	if !s.links {
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: "it is a symbolic link (see --links)"})
		return
	}
	c, target, err := s.disk.readLink(name)
	switch {
	case err != nil:
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: "it cannot be read: " + reason(err)})
	case target == "" || !utf8.ValidString(target):
		s.put(name, &Local{Content: Content{Kind: Odd}, Why: "its target is not UTF-8"})
	default:
		s.put(name, &Local{Content: c, Print: print})
	}
}

// reason is the cause of an error of the file system, without the name, which stands beside it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
