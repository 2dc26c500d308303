package swift

import (
	flags "flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flags.Bool("update", false, "write the page that the test compares with")

func TestOperationsPage(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "api", "swift-operations.md")
	if *update {
		if err := os.WriteFile(path, []byte(Operations()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), Operations()); diff != "" {
		t.Errorf("%s is not current; run the test with -update (-file +now):\n%s", path, diff)
	}
}
