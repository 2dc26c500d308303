package e2e_test

import (
	"os/exec"
	"path/filepath"
	"sync"

	"pithos/test/service"
)

// buildClients compiles the clients written in Go once.
var buildClients = sync.OnceValues(func() (string, error) {
	root, err := service.Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".cache", "bin", "clients")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Dir = filepath.Join(root, "test", "clients", "go")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &buildError{string(out), err}
	}
	return binary, nil
})

// buildError is why the clients do not compile.
type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return "build the Go clients: " + e.err.Error() + "\n" + e.out }

func (e *buildError) Unwrap() error { return e.err }

// goClients is the path of the program.
func (w *world) goClients() string {
	w.t.Helper()
	binary, err := buildClients()
	if err != nil {
		w.t.Fatal(err)
	}
	return binary
}
