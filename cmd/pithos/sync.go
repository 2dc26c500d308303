package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/filesync"
)

const syncHelp = `Keep the folder DIR and a container equal, in both directions: what is made, changed, renamed
or deleted on one side is on the other a moment later. TARGET is CONTAINER or
CONTAINER/FOLDER, @ACCOUNT/CONTAINER of another account, or the URL of one of them. The
container is made if it is not there.

Only blocks that the other side lacks are moved, and renames move none. What is deleted or
replaced stays on the service as an older version (pithos versions, pithos restore). When both
sides changed a file, the one here becomes "name (conflict WHO DATE TIME).ext". Names in the
file .pithosignore, in the syntax of gitignore, are left alone on both sides. docs/sync.md
tells what happens in each case.

It runs until it is interrupted; with --once it ends when both sides are equal.
"pithos sync status" shows what is going on.`

type syncFlags struct {
	once, force, fresh, dry, links, modes bool

	as       string
	parallel int
}

func syncCommand(t *terminal) *cobra.Command {
	var f syncFlags
	cmd := &cobra.Command{
		Use: "sync DIR TARGET", Short: "Keep a folder and a container equal", Args: cobra.ExactArgs(2), Long: syncHelp,
		Example: `  pithos sync ~/Documents documents
  pithos sync --once ~/Photos backup/photos
  pithos sync --once --dry-run . http://127.0.0.1:8080/v1/alice/work
  pithos sync status`,
	}
	t.addJSON(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.once, "once", false, "end when both sides are equal")
	flags.BoolVar(&f.dry, "dry-run", false, "show what would be done, and do nothing")
	flags.BoolVar(&f.force, "force", false, "delete on the other side even if everything is gone on one, or DIR has lost its marker")
	flags.BoolVar(&f.fresh, "fresh", false, "forget what was synchronised: merge both sides, delete nothing")
	flags.BoolVar(&f.links, "links", false, "keep symbolic links, as objects of the type "+filesync.LinkType+"; without, they are skipped")
	flags.BoolVar(&f.modes, "modes", false, "keep the permission bits of files, in their metadata, when their content is moved")
	flags.StringVar(&f.as, "as", "", "`name` in the names of conflict copies; default: the account and this machine")
	flags.IntVar(&f.parallel, "parallel", 4, "`number` of files on the way at once")
	cmd.RunE = onService(func(ctx context.Context, c *client.Client, args []string) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return t.sync(ctx, c, f, args[0], args[1])
	})
	cmd.AddCommand(syncStatusCommand(t))
	return cmd
}

// statesDir is where the states of all synchronisations are kept.
func statesDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pithos", "sync"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "pithos", "sync"), nil
}

// targetOf reads a target on the command line: a path as other commands take it, or a URL of the service that the user is signed in to.
func targetOf(c *client.Client, text string) (place, error) {
	if !strings.Contains(text, "://") {
		p, err := at(c, text)
		if err == nil && p.all {
			err = usage("name a container to synchronise with")
		}
		return p, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return place{}, usage(fmt.Sprintf("%q is no URL: %v", text, err))
	}
	rest, ok := strings.CutPrefix(text, c.Service()+"/v1/")
	if !ok {
		return place{}, usage(fmt.Sprintf("%s://%s is not the service that you are signed in to, %s; use pithos login, and /v1/ACCOUNT/CONTAINER behind it", u.Scheme, u.Host, c.Service()))
	}
	plain, err := url.PathUnescape(strings.TrimPrefix(rest, "AUTH_"))
	if err != nil {
		return place{}, usage(fmt.Sprintf("%q is no URL: %v", text, err))
	}
	account, path, _ := strings.Cut(plain, "/")
	if account != c.Account() {
		path = "@" + account + "/" + path
	}
	p, err := at(c, path)
	if err == nil && p.all {
		err = usage("the URL names no container: write " + c.Service() + "/v1/ACCOUNT/CONTAINER")
	}
	return p, err
}

func (t *terminal) sync(ctx context.Context, c *client.Client, f syncFlags, dir, target string) error {
	p, err := targetOf(c, target)
	if err != nil {
		return err
	}
	if !f.dry {
		if err := p.Create(ctx); err != nil && !client.IsDenied(err) { // of another account's container a folder may be shared
			return toldSync(told(err))
		}
	}
	states, err := statesDir()
	if err != nil {
		return err
	}
	prefix := strings.Trim(p.name, "/")
	if prefix != "" {
		prefix += "/"
	}
	if f.as == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "here"
		}
		f.as = c.Account() + "@" + host
	}
	show := &syncShow{t: t}
	s, err := filesync.Open(ctx, filesync.Options{
		Dir: dir, States: states, Prefix: prefix, User: f.as, Clock: clock.System{},
		Target:  c.Service() + "/v1/" + p.c.Account() + "/" + p.Name() + "/" + prefix,
		Service: &syncService{k: p.Container, prefix: prefix, modes: f.modes},
		Links:   f.links, Modes: f.modes, Force: f.force, Fresh: f.fresh, DryRun: f.dry, Parallel: f.parallel,
		Events: show.event, Watch: show.watcher(),
	})
	if err != nil {
		return toldSync(err)
	}
	if f.once || f.dry {
		var res *filesync.Result
		res, err = s.Once(ctx)
		err = errors.Join(err, s.Close())
		return show.end(res, err, f.dry)
	}
	err = errors.Join(s.Run(ctx), s.Close())
	if errors.Is(err, context.Canceled) {
		return nil // interrupted, as it should be
	}
	return toldSync(err)
}

// toldSync says what to do about an error of the synchronisation.
func toldSync(err error) error {
	if errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.Denied) {
		return &failure{exitDenied, fmt.Errorf("%w (sign in again with pithos login if the token has expired)", err)}
	}
	return err
}

// syncShow tells what a synchronisation does.
type syncShow struct{ t *terminal }

// watcher shows how far transfers are, on a terminal.
func (s *syncShow) watcher() func(*filesync.Status) {
	if !s.t.bars || s.t.json {
		return nil
	}
	return func(st *filesync.Status) {
		line := ""
		for _, f := range st.InFlight {
			if f.Total > 0 {
				line += fmt.Sprintf("  %s %s %d %%", f.Do, printable(f.Name), 100*f.Done/f.Total)
			}
		}
		if st.Pending > 0 {
			line = fmt.Sprintf("%d pending%s", st.Pending, line)
		}
		fmt.Fprintf(s.t.err, "\r%s\x1b[K", clipped(line))
	}
}

// clipped keeps a line of progress short enough for any terminal.
func clipped(line string) string {
	if runes := []rune(line); len(runes) > 78 {
		return string(runes[:75]) + "..."
	}
	return line
}

func (s *syncShow) event(e filesync.Event) {
	if s.t.bars && !s.t.json {
		fmt.Fprint(s.t.err, "\r\x1b[K")
	}
	if s.t.json {
		_ = json.NewEncoder(s.t.out).Encode(e) // who does not read it does not want it
		return
	}
	name := printable(e.Name)
	switch {
	case e.Error != "":
		fmt.Fprintln(s.t.err, "pithos: "+printable(e.Error))
	case e.Do == "conflict":
		fmt.Fprintf(s.t.out, "conflict       %s -> %s\n", name, printable(e.To))
	case e.To != "":
		fmt.Fprintf(s.t.out, "%-14s %s -> %s\n", e.Do, name, printable(e.To))
	case e.Bytes > 0:
		fmt.Fprintf(s.t.out, "%-14s %s (%s, moved %s)\n", e.Do, name, showBytes(e.Bytes), showBytes(e.Moved))
	default:
		fmt.Fprintf(s.t.out, "%-14s %s\n", e.Do, name)
	}
}

// syncSummary is the last line of --once, as JSON.
type syncSummary struct {
	Do      string             `json:"do"` // "end"
	Done    int                `json:"done"`
	Sent    int64              `json:"sent"`
	Fetched int64              `json:"fetched"`
	Held    int                `json:"held"`
	Skipped []filesync.Skip    `json:"skipped"`
	Failed  []filesync.Failure `json:"failed"`
	InSync  bool               `json:"in_sync"`
	Planned []syncPlanned      `json:"planned,omitempty"`
}

type syncPlanned struct {
	Do   string `json:"do"`
	Name string `json:"name"`
	To   string `json:"to,omitempty"`
}

// end tells how --once ended.
func (s *syncShow) end(res *filesync.Result, err error, dry bool) error {
	if res == nil {
		return toldSync(err)
	}
	sum := syncSummary{Do: "end", Done: res.Done, Sent: res.Sent, Fetched: res.Fetched, Held: res.Held, Skipped: res.Skipped, Failed: res.Failed}
	sum.InSync = err == nil && res.Quiet() && res.Held == 0 && len(res.Failed) == 0
	for i := range res.Planned {
		if op := &res.Planned[i]; op.Do > filesync.Forget {
			sum.Planned = append(sum.Planned, syncPlanned{op.Do.String(), op.Name, op.To})
		}
	}
	if s.t.json {
		err = errors.Join(err, json.NewEncoder(s.t.out).Encode(sum))
	} else {
		s.text(&sum, dry)
	}
	switch {
	case err != nil:
		return toldSync(err)
	case dry || sum.InSync:
		return nil
	case res.Held > 0:
		return &failure{exitConflict, fmt.Errorf("%d deletions are held back, since everything is gone on one side; --force does them, --fresh brings everything back", res.Held)}
	case len(res.Failed) > 0:
		return &failure{exitFailed, fmt.Errorf("%d steps failed", len(res.Failed))}
	}
	return &failure{exitFailed, errors.New("the sides are not equal yet: something changes all the time")}
}

func (s *syncShow) text(sum *syncSummary, dry bool) {
	for _, p := range sum.Planned {
		s.event(filesync.Event{Do: p.Do, Name: p.Name, To: p.To})
	}
	for _, k := range sum.Skipped {
		fmt.Fprintf(s.t.out, "skipped        %s: %s\n", printable(k.Name), k.Why)
	}
	switch {
	case dry:
		fmt.Fprintf(s.t.out, "%d steps would be done.\n", len(sum.Planned))
	case sum.InSync:
		fmt.Fprintf(s.t.out, "In sync: %d steps, sent %s, fetched %s.\n", sum.Done, showBytes(sum.Sent), showBytes(sum.Fetched))
	}
}

func syncStatusCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status [DIR]", Short: "Show what synchronisations do", Args: cobra.MaximumNArgs(1),
		Long:    "Show for a folder, or for all that were ever synchronised by this user, what is going on: state, pending steps, conflicts, what is skipped and why, the last error.",
		Example: "  pithos sync status\n  pithos sync status ~/Documents --json",
	}
	t.addJSON(cmd)
	cmd.RunE = action(func(_ *cobra.Command, args []string) error {
		list, err := syncStates(args)
		if err != nil {
			return err
		}
		if t.json {
			return t.printJSON(list)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(t.out, "Nothing is synchronised.")
			return err
		}
		for _, s := range list {
			if err := t.showSync(s); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// syncStates reads the status of a folder, or of all.
func syncStates(args []string) ([]*filesync.Status, error) {
	states, err := statesDir()
	if err != nil {
		return nil, err
	}
	var dirs []string
	if len(args) == 1 {
		dir, err := filesync.StateDir(states, args[0])
		if err != nil {
			return nil, err
		}
		dirs = []string{dir}
	} else if dirs, err = filepath.Glob(filepath.Join(states, "*")); err != nil {
		return nil, err
	}
	list := []*filesync.Status{}
	for _, dir := range dirs {
		s, err := filesync.ReadStatus(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if len(args) == 1 {
				return nil, &failure{exitNotFound, fmt.Errorf("%s was never synchronised", args[0])}
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (t *terminal) showSync(s *filesync.Status) error {
	state := s.State
	if !s.Running {
		state += " (not running)"
	}
	change := ""
	if e := s.LastChange; e != nil {
		change = showTime(e.Time) + " " + e.Do + " " + e.Name
	}
	failed := ""
	if s.LastError != "" {
		failed = showTime(s.ErrorAt) + " " + s.LastError
	}
	err := t.facts([2]string{"Folder", s.Dir}, [2]string{"Target", s.Target}, [2]string{"State", state}, [2]string{"Files", showCount(int64(s.Files))},
		[2]string{"Pending", showCount(int64(s.Pending))}, [2]string{"In sync at", showTime(s.InSyncAt)}, [2]string{"Last change", change}, [2]string{"Last error", failed},
		[2]string{"Held back", held(s.Held)}, [2]string{"Note", s.Note})
	if err != nil {
		return err
	}
	for _, f := range s.InFlight {
		fmt.Fprintf(t.out, "  %s %s: %s of %s\n", f.Do, printable(f.Name), showBytes(f.Done), showBytes(f.Total))
	}
	for _, c := range s.Conflicts {
		fmt.Fprintf(t.out, "  conflict %s %s -> %s\n", showTime(c.Time), printable(c.Name), printable(c.Copy))
	}
	for _, k := range s.Skipped {
		fmt.Fprintf(t.out, "  skipped %s: %s\n", printable(k.Name), k.Why)
	}
	for _, f := range s.Failed {
		fmt.Fprintf(t.out, "  failed %s %s: %s\n", f.Do, printable(f.Name), printable(f.Error))
	}
	return nil
}

func held(n int) string {
	if n == 0 {
		return ""
	}
	return showCount(int64(n)) + " deletions (see --force)"
}
