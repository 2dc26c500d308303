// Command pithos is an object store: it serves S3 from one data directory, and
// is the tool to run it with.
//
// Exit codes: 0 done; 1 it failed, or fsck or scrub found damage; 2 wrong use or configuration; 3 the data directory or the
// server cannot be reached (in use, not running, of a newer format).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program with its surroundings as arguments. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot(&terminal{in: in, out: out, err: errOut})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code, text := explain(err)
	if text != "" {
		fmt.Fprintln(errOut, "pithos: "+text)
	}
	return code
}
