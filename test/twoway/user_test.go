package twoway_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

// A token is a text that is written once, and so tells where every write has gone.
var tokenForm = regexp.MustCompile(`tok:[0-9]{8};`)

const (
	tokenLen  = 13
	largeSize = 4<<20 + 100<<10 // two blocks
)

// tokens counts out what users write, and notes what they destroy.
type tokens struct {
	next atomic.Int64

	mu        sync.Mutex
	written   map[string]string // where
	destroyed map[string]bool   // by a user who had it before his eyes
}

func (k *tokens) make(where string) string {
	t := fmt.Sprintf("tok:%08d;", k.next.Add(1))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written[t] = where
	return t
}

func (k *tokens) destroy(found []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range found {
		k.destroyed[t] = true
	}
}

// unmake forgets a token that could not be written.
func (k *tokens) unmake(t string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.written, t)
}

// user works in a folder, knowing nothing of any synchronisation. Errors mean that somebody else was there first: then nothing was done.
type user struct {
	name string
	dir  string
	r    *rand.Rand
	k    *tokens
	ops  int
}

func (u *user) path(name string) string { return filepath.Join(u.dir, filepath.FromSlash(name)) }

// pick is a name, of a file, a folder or nothing yet.
func (u *user) pick() string {
	words := []string{"a", "b", "c", "d e", "ä", "F", "g.txt", "hh", "i", "j"}
	name := words[u.r.IntN(len(words))]
	for range u.r.IntN(3) {
		name += "/" + words[u.r.IntN(len(words))]
	}
	return name
}

// tokensIn reads the tokens of a file, or of all below a folder.
func tokensIn(path string) []string {
	var found []string
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if raw, err := os.ReadFile(p); err == nil {
				found = append(found, tokenForm.FindAllString(string(raw), -1)...)
			}
		}
		return nil
	})
	return found
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// clear removes whatever is at a name.
func (u *user) clear(name string) {
	u.k.destroy(tokensIn(u.path(name)))
	_ = os.RemoveAll(u.path(name))
}

// room makes the folders above a name.
func (u *user) room(name string) {
	dir := ""
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(filepath.FromSlash(name))), "/") {
		if dir = filepath.ToSlash(filepath.Join(dir, part)); dir == "." {
			return
		}
		if !isDir(u.path(dir)) {
			u.clear(dir)
			_ = os.Mkdir(u.path(dir), 0o777)
		}
	}
}

// step does one thing.
func (u *user) step() {
	u.ops++
	name := u.pick()
	switch n := u.r.IntN(100); {
	case n < 35:
		u.create(name)
	case n < 55:
		u.add(name)
	case n < 62:
		u.editLarge(name)
	case n < 72:
		u.replace(name)
	case n < 88:
		u.rename(name, u.pick())
	case n < 92:
		u.clear(name)
	case n < 95: // a folder in the place of a file, or the other way round
		was := isDir(u.path(name))
		u.clear(name)
		if was {
			u.create(name)
		} else {
			u.create(name + "/" + u.pick())
		}
	default:
		u.room(name)
		_ = os.Mkdir(u.path(name), 0o777)
	}
}

// create makes a new file.
func (u *user) create(name string) {
	u.room(name)
	f, err := os.OpenFile(u.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return
	}
	u.write(f, name, -1)
}

// write writes a token at a place, or at the end, and closes the file.
func (u *user) write(f *os.File, name string, at int64) {
	t := u.k.make(u.name + ":" + name)
	var n int
	var err error
	if at < 0 {
		n, err = f.WriteString(t)
	} else {
		n, err = f.WriteAt([]byte(t), at)
	}
	if err != nil || n != tokenLen {
		u.k.unmake(t)
	}
	_ = f.Close()
}

// add appends to a file that is there.
func (u *user) add(name string) {
	f, err := os.OpenFile(u.path(name), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		u.write(f, name, -1)
	}
}

// editLarge writes inside of a large file, which it makes large first.
func (u *user) editLarge(name string) {
	f, err := os.OpenFile(u.path(name), os.O_RDWR, 0)
	if err != nil {
		return
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() < largeSize && f.Truncate(largeSize) != nil {
		_ = f.Close()
		return
	}
	at := u.r.Int64N(largeSize/64-1) * 64 // tokens never overlap
	if at < 4096 {
		at += 4096 // where small files have theirs
	}
	old := make([]byte, 64)
	if _, err := f.ReadAt(old, at); err == nil {
		u.k.destroy(tokenForm.FindAllString(string(old), -1))
	}
	u.write(f, name, at)
}

// replace writes a file anew, as editors do: half of them in place, half by a new file that takes the name.
func (u *user) replace(name string) {
	if info, err := os.Lstat(u.path(name)); err != nil || !info.Mode().IsRegular() {
		return
	}
	u.k.destroy(tokensIn(u.path(name)))
	if u.r.IntN(2) == 0 {
		if f, err := os.OpenFile(u.path(name), os.O_WRONLY|os.O_TRUNC, 0); err == nil {
			u.write(f, name, -1)
		}
		return
	}
	temp := u.path(name) + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return
	}
	u.write(f, name, -1)
	if os.Rename(temp, u.path(name)) != nil {
		u.k.destroy(tokensIn(temp))
		_ = os.Remove(temp)
	}
}

// rename gives a file or folder another name, over what is there.
func (u *user) rename(from, to string) {
	if from == to || strings.HasPrefix(to, from+"/") || strings.HasPrefix(from, to+"/") {
		return
	}
	if _, err := os.Lstat(u.path(from)); err != nil {
		return
	}
	u.room(to)
	if isDir(u.path(from)) || isDir(u.path(to)) {
		u.clear(to)
	} else {
		u.k.destroy(tokensIn(u.path(to)))
	}
	_ = os.Rename(u.path(from), u.path(to))
}
