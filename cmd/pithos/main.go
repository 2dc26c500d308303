// Command pithos is an object store: it serves S3, Swift and Pithos+, is the
// tool to run it with, and works on objects of a service as on files.
//
// The exit codes are in errors.go.
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
	root := newRoot(&terminal{in: in, out: out, err: errOut, bars: onTerminal(errOut)})
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
