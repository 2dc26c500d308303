package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"pithos/internal/config"
	"pithos/internal/door/admin"
	"pithos/internal/errs"
)

// Exit codes; the help of the root command lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

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
	switch {
	case errors.As(err, &problems):
		return exitUsage
	case errors.As(err, &told):
		if told.Kind == errs.Invalid.String() {
			return exitUsage
		}
		return exitFailed
	}
	switch errs.KindOf(err) {
	case errs.Invalid:
		return exitUsage
	case errs.Busy, errs.Closed, errs.Unsupported, errs.Corrupt:
		return exitUnreachable
	default:
		return exitFailed
	}
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
