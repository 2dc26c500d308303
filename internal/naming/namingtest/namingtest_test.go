package namingtest

import (
	"testing"

	"pithos/internal/naming"
)

func TestObjectsAreValidAndInOrder(t *testing.T) {
	names := Objects()
	for i, n := range names {
		if _, err := naming.ParseObject(string(n)); err != nil {
			t.Errorf("%q: %v", n, err)
		}
		if i > 0 && names[i-1] >= n {
			t.Errorf("%q does not come after %q", n, names[i-1])
		}
	}
}
