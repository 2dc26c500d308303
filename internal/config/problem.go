package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration. It never holds a secret.
type Problem struct {
	Where   string // "pithos.yaml:12", "PITHOS_S3_LISTEN", "--s3-listen"
	Key     string // "s3.listen"; "" when it concerns the file as a whole
	Message string // what is wrong and what to write instead
}

func (p Problem) String() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{p.Where, p.Key, p.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems are all that is wrong, in the order of the sources. It is the error of Load.
type Problems []Problem //nolint:errname // it is a list that happens to be an error

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// asError is nil without problems.
func (ps Problems) asError() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// unknown is the message for a name that is none of known.
func unknown(what, name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return fmt.Sprintf("unknown %s; did you mean %s?", what, best)
	}
	return fmt.Sprintf("unknown %s; known are %s", what, strings.Join(known, ", "))
}

// nearest is the known name within two edits of name, or "".
func nearest(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(name, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of single-character insertions, deletions and replacements between a and b (Levenshtein).
// Long names are not compared.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
