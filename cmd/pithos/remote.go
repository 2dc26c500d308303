package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/errs"
)

// remoteHelp tells how objects are named, for all commands that work on a service.
const remoteHelp = `Objects are named CONTAINER/PATH; what another account shares, @ACCOUNT/CONTAINER/PATH.
"pithos login" says which service is meant.`

// profile is where the user is signed in.
type profile struct {
	Service string `json:"service"`
	User    string `json:"user"`
	Account string `json:"account"`
	Token   string `json:"token"`
}

// profileFile is the file of the profile, in the user's configuration directory. It holds a token: nobody else may read it.
func profileFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "pithos", "login.json"), nil
}

func (p *profile) save() error {
	file, err := profileFile()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	next := file + ".new"
	if err := os.WriteFile(next, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// remote is the service that the user is signed in to.
func remote() (*client.Client, error) {
	file, err := profileFile()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{exitUsage, errors.New(`sign in first: pithos login http://HOST:8080 --user ACCOUNT:NAME`)}
	}
	if err != nil {
		return nil, err
	}
	var p profile
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("%s cannot be read; sign in again with pithos login: %w", file, err)
	}
	return client.WithToken(p.Service, p.Account, p.Token, client.Options{}), nil
}

// place is what a name on the command line means.
type place struct {
	*client.Container
	c    *client.Client
	name string // of the object; "": the container itself
	all  bool   // neither container nor object: the account
}

// at reads CONTAINER/PATH or @ACCOUNT/CONTAINER/PATH.
func at(c *client.Client, text string) (place, error) {
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		account, path, _ := strings.Cut(rest, "/")
		if account == "" {
			return place{}, usage("a path of another account is written @ACCOUNT/CONTAINER/PATH")
		}
		c, text = c.Of(account), path
	}
	container, name, _ := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	if container == "" {
		return place{c: c, all: true}, nil
	}
	return place{Container: c.Container(container), c: c, name: name}, nil
}

// object is at for a path that must name an object.
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

// onService makes the function of a command that works on the service.
func onService(fn func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return action(func(cmd *cobra.Command, args []string) error {
		c, err := remote()
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

func loginCommand(t *terminal) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "login URL", Short: "Sign in to a service", Args: cobra.ExactArgs(1),
		Long: `Sign in to a Pithos service and remember it for the commands that work on objects. The
password, or the secret of an access key, is read from $PITHOS_SECRET or else from the
standard input. The token is kept in the configuration directory, for you alone; the
secret is not kept.`,
		Example: "  pithos login http://127.0.0.1:8080 --user admin:admin",
	}
	cmd.Flags().StringVar(&user, "user", "", "`ACCOUNT:NAME` to sign in as")
	_ = cmd.MarkFlagRequired("user") // never fails: the flag is there
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		secret := os.Getenv("PITHOS_SECRET")
		if secret == "" {
			line, err := bufio.NewReader(t.in).ReadString('\n')
			if secret = strings.TrimRight(line, "\r\n"); secret == "" {
				return errors.Join(usage("the password is missing: write it to the standard input"), err)
			}
		}
		c, err := client.SignIn(cmd.Context(), args[0], user, secret, client.Options{})
		if client.IsDenied(err) {
			return errors.New("the user or the password is wrong")
		}
		if err != nil {
			return &failure{exitUnreachable, err}
		}
		p := profile{Service: args[0], User: user, Account: c.Account(), Token: c.Token()}
		if err := p.save(); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "Signed in to %s as %s.\n", args[0], user)
		return nil
	})
	return cmd
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
		units := map[string]time.Duration{
			"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour,
		}
		if unit, ok := units[strings.TrimSuffix(words[1], "s")]; ok && err == nil && n >= 0 && n < 1<<20 {
			return now.Add(-time.Duration(n) * unit), nil
		}
	}
	return time.Time{}, usage(fmt.Sprintf(`%q is no time: write "2 hours ago", "2026-03-01 12:00" or RFC 3339`, text))
}

// versionAt is the version that an object had at a moment; 0 for now.
func versionAt(ctx context.Context, p place, at time.Time) (uint64, error) {
	if at.IsZero() {
		return 0, nil
	}
	versions, err := p.Versions(ctx, p.name)
	if err != nil {
		return 0, err
	}
	var id uint64
	for _, v := range versions {
		if v.Made.Before(at) {
			id = v.ID
		}
	}
	if id == 0 {
		return 0, fmt.Errorf("%s was not there at %s", p.name, showTime(at))
	}
	return id, nil
}
