package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"pithos/client"
	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/errs"
)

// Exit codes; exitCodes tells people of them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitConflict    = 5
	exitUnreachable = 6
	exitFull        = 7
)

const exitCodes = `Exit codes:
  0  done
  1  it failed, a check found damage, or diff found differences
  2  wrong use, or faults in the configuration
  3  what was named is not there
  4  not signed in, or not allowed
  5  a conflict: it is there already, was changed meanwhile, or is not empty
  6  the data directory or the service cannot be reached: in use, missing, of a newer format
  7  no room: a quota or the disk is full`

// failure is an error of a command that was used rightly. Other errors come from the parsing of arguments.
type failure struct {
	code int
	err  error // nil: everything has been said already
}

func (f *failure) Error() string {
	if f.err == nil {
		return "failed"
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// action makes a command's function out of one that returns any error.
func action(fn func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := fn(cmd, args)
		var f *failure
		if err == nil || errors.As(err, &f) {
			return err
		}
		return &failure{codeOf(err), err}
	}
}

// codeOf is the exit code for an error.
func codeOf(err error) int {
	var problems config.Problems
	var told *admin.Failure
	var cut *url.Error
	switch {
	case errors.As(err, &problems):
		return exitUsage
	case errors.As(err, &told):
		return codeOfKind(told.Kind)
	case client.IsNotFound(err):
		return exitNotFound
	case client.IsDenied(err):
		return exitDenied
	case client.IsConflict(err), client.IsChanged(err):
		return exitConflict
	case client.IsFull(err):
		return exitFull
	case errors.As(err, &cut):
		return exitUnreachable
	}
	switch errs.KindOf(err) {
	case errs.Busy, errs.Closed, errs.Unsupported, errs.Corrupt: // of the data directory: its service or format
		return exitUnreachable
	}
	return codeOfKind(errs.KindOf(err).String())
}

// codeOfKind is the exit code for what the project's own errors say.
func codeOfKind(kind string) int {
	switch kind {
	case errs.Invalid.String():
		return exitUsage
	case errs.NotFound.String():
		return exitNotFound
	case errs.Denied.String(), errs.Unauthenticated.String():
		return exitDenied
	case errs.Exists.String(), errs.NotEmpty.String(), errs.Conflict.String(), errs.Precondition.String():
		return exitConflict
	case errs.Full.String(), errs.Quota.String():
		return exitFull
	}
	return exitFailed
}

// explain gives the exit code and the text for people.
func explain(err error) (int, string) {
	var f *failure
	if !errors.As(err, &f) {
		return exitUsage, err.Error() + "\nRun with --help to see how it is used."
	}
	if f.err == nil {
		return f.code, ""
	}
	var problems config.Problems
	if errors.As(f.err, &problems) {
		return f.code, "the configuration has faults:\n  " + strings.ReplaceAll(problems.Error(), "\n", "\n  ")
	}
	var e *errs.Error
	if errors.As(f.err, &e) && e.Msg != "" { // the packages and kinds in front of it are for the log
		text := e.Msg
		if e.Thing == errs.Store && e.Name != "" {
			text = e.Name + ": " + text
		}
		return f.code, text + hint(e)
	}
	return f.code, f.err.Error()
}

// hint says what to do next about errors that come from the data directory.
func hint(e *errs.Error) string {
	switch {
	case e.Thing == errs.Store && e.Kind == errs.Busy:
		return "; stop it first, or name another directory with --data DIR"
	case e.Thing == errs.Store && e.Kind == errs.Full:
		return "; make room on the disk"
	case e.Thing == errs.Store && e.Kind == errs.Corrupt:
		return "; run pithos fsck, and restore a backup if it cannot be opened"
	}
	return ""
}
