package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/clock"
	"pithos/internal/errs"
)

// remoteHelp tells how objects are named, for all commands that work on a service.
const remoteHelp = `Objects are named CONTAINER/PATH; what another account shares, @ACCOUNT/CONTAINER/PATH.
A name may be a pattern, in quotes so that the shell leaves it alone: * and ? stand for
characters other than "/", [a-z] for one of a set, ** for any number of folders; a
backslash before one of them takes it as it is. "pithos login" says which service is meant.`

// place is what a name on the command line means.
type place struct {
	*client.Container
	c      *client.Client
	shown  string // the container as the user names it: "photos", "@bob/photos"
	name   string // of the object; "": the container itself
	all    bool   // neither container nor object: the account
	folder bool   // a pattern's match that is no object, but stands for names below it
}

// String is the place as the user would write it.
func (p place) String() string {
	if p.name == "" {
		return p.shown
	}
	return p.shown + "/" + p.name
}

// at reads CONTAINER/PATH or @ACCOUNT/CONTAINER/PATH.
func at(c *client.Client, text string) (place, error) {
	shown := ""
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		account, path, _ := strings.Cut(rest, "/")
		if account == "" {
			return place{}, usage("a path of another account is written @ACCOUNT/CONTAINER/PATH")
		}
		shown = "@" + account + "/"
		c, text = c.Of(account), path
	}
	container, name, _ := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	if container == "" {
		return place{c: c, shown: strings.TrimSuffix(shown, "/"), all: true}, nil
	}
	return place{Container: c.Container(container), c: c, shown: shown + container, name: name}, nil
}

// objectAt is at for a path that must name an object.
func objectAt(c *client.Client, text string) (place, error) {
	p, err := at(c, text)
	if err == nil && p.name == "" {
		err = usage(fmt.Sprintf("%q names no object: write CONTAINER/PATH", text))
	}
	return p, err
}

func usage(text string) error {
	return &failure{exitUsage, errs.E("pithos", errs.Invalid, errs.Request, "").Because("", text)}
}

func missing(text string) error {
	return &failure{exitNotFound, fmt.Errorf("%s is not there", printable(text))}
}

// onService makes the function of a command that works on the service.
func onService(fn func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return action(func(cmd *cobra.Command, args []string) error {
		c, err := remote(cmd)
		if err != nil {
			return err
		}
		err = fn(cmd.Context(), c, args)
		if client.IsDenied(err) {
			return fmt.Errorf("%w (sign in again with pithos login if the token has expired)", err)
		}
		return err
	})
}

func now() time.Time { return clock.System{}.Now() }

// addAt adds --at; the function gives the moment, zero for now.
func addAt(cmd *cobra.Command) func() (time.Time, error) {
	return addMoment(cmd, "at", "as it was at a `time`: \"2 hours ago\", \"2026-03-01 12:00\"")
}

func addMoment(cmd *cobra.Command, name, help string) func() (time.Time, error) {
	text := cmd.Flags().String(name, "", help)
	return func() (time.Time, error) { return moment(*text, now()) }
}

// moment reads a time on the command line: "2 hours ago", RFC 3339, or a date.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	words := strings.Fields(text)
	if len(words) == 3 && words[2] == "ago" {
		n, err := strconv.Atoi(words[0])
		if words[0] == "a" || words[0] == "an" {
			n, err = 1, nil
		}
		units := map[string]time.Duration{
			"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
		}
		if unit, ok := units[strings.TrimSuffix(words[1], "s")]; ok && err == nil && n >= 0 && n < 1<<20 {
			return now.Add(-time.Duration(n) * unit), nil
		}
	}
	return time.Time{}, usage(fmt.Sprintf(`%q is no time: write "2 hours ago", "2026-03-01 12:00" or RFC 3339`, text))
}

// versionAt is the version that an object had at a moment; 0 for now. What was deleted then was not there.
func versionAt(ctx context.Context, p place, at time.Time) (uint64, error) {
	if at.IsZero() {
		return 0, nil
	}
	for e, err := range p.List(ctx, client.ListOptions{Prefix: p.name, At: at, PageMax: 1}) {
		if client.IsNotFound(err) {
			break // the container was not there
		}
		if err != nil {
			return 0, err
		}
		if e.Name == p.name {
			return e.Version, nil
		}
		break // names that begin with it come behind it
	}
	return 0, &failure{exitNotFound, fmt.Errorf("%s was not there at %s", printable(p.String()), showTime(at))}
}
