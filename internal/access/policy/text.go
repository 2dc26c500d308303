package policy

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

func itoa(n int) string { return strconv.Itoa(n) }

// lower is ASCII lower case: actions and condition keys compare without case.
func lower(s string) string { return strings.ToLower(s) }

// Special elements of a pattern; everything else is a character.
const (
	star    rune = -1 // any characters, also none
	anyChar rune = -2 // one character
)

// text is a text of a policy, perhaps with wildcards and variables.
type text struct {
	raw    string
	pieces []piece
	fixed  []rune // all of it when there is no variable
}

// piece is a run of characters and wildcards, or a variable.
type piece struct {
	runes    []rune
	variable string // key in lower case; "" for runes
	fallback *string
}

// newText reads a text. wild says that '*' and '?' stand for other characters, variables that "${key}" stands for a fact.
// ok is false when a variable is not closed or has no name.
func newText(raw string, wild, variables bool) (text, bool) {
	t := text{raw: raw}
	var run []rune
	for i := 0; i < len(raw); {
		if variables && strings.HasPrefix(raw[i:], "${") {
			end := strings.IndexByte(raw[i:], '}')
			if end < 0 {
				return t, false
			}
			p, ok := newVariable(raw[i+2 : i+end])
			if !ok {
				return t, false
			}
			i += end + 1
			if p.variable == "" {
				run = append(run, p.runes...)
				continue
			}
			if len(run) > 0 {
				t.pieces = append(t.pieces, piece{runes: run})
				run = nil
			}
			t.pieces = append(t.pieces, p)
			continue
		}
		r, n := utf8.DecodeRuneInString(raw[i:])
		i += n
		switch {
		case wild && r == '*':
			r = star
		case wild && r == '?':
			r = anyChar
		}
		run = append(run, r)
	}
	if len(run) > 0 {
		t.pieces = append(t.pieces, piece{runes: run})
	}
	if !t.variable() {
		for _, p := range t.pieces {
			t.fixed = append(t.fixed, p.runes...)
		}
	}
	return t, true
}

// newVariable reads what stands between the braces: one of the three special characters, a key, or a key with a default.
func newVariable(s string) (piece, bool) {
	switch s {
	case "*", "?", "$":
		return piece{runes: []rune(s)}, true
	}
	key, rest, has := strings.Cut(s, ",")
	p := piece{variable: foldKey(strings.TrimSpace(key))}
	if p.variable == "" || !knownKey(p.variable) {
		return p, false
	}
	if has {
		rest = strings.TrimSpace(rest)
		if len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
			return p, false
		}
		rest = rest[1 : len(rest)-1]
		p.fallback = &rest
	}
	return p, true
}

func (t *text) variable() bool {
	for _, p := range t.pieces {
		if p.variable != "" {
			return true
		}
	}
	return false
}

// expand gives the pattern with its variables filled in. What a variable brings is literal: a '*' in it is a star and no wildcard.
// known is false when a variable has no value, or several, and no default.
func (t *text) expand(q *Request) (pattern []rune, known bool) {
	if !t.variable() {
		return t.fixed, true
	}
	for _, p := range t.pieces {
		if p.variable == "" {
			pattern = append(pattern, p.runes...)
			continue
		}
		values, _ := q.fact(p.variable)
		switch {
		case len(values) == 1:
			pattern = append(pattern, []rune(values[0])...)
		case p.fallback != nil:
			pattern = append(pattern, []rune(*p.fallback)...)
		default:
			return nil, false
		}
	}
	return pattern, true
}

// match tells whether the text fits the subject.
func (t *text) match(q *Request, subject string) (fits, known bool) {
	pattern, known := t.expand(q)
	return known && glob(pattern, subject), known
}

// glob matches a whole string. It takes at most len(pattern) * len(s) steps.
func glob(pattern []rune, s string) bool {
	at, i := 0, 0
	retry, from := -1, 0 // where the last star stands, and up to where it reaches
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case at < len(pattern) && pattern[at] == star:
			retry, from = at, i
			at++
		case at < len(pattern) && (pattern[at] == anyChar || pattern[at] == r):
			at++
			i += n
		case retry >= 0:
			_, n = utf8.DecodeRuneInString(s[from:])
			from += n
			at, i = retry+1, from
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at] == star {
		at++
	}
	return at == len(pattern)
}

// wild reports whether the text can fit more than one string: it has a wildcard or a variable.
func (t *text) wild() bool {
	for _, p := range t.pieces {
		if p.variable != "" {
			return true
		}
		for _, r := range p.runes {
			if r < 0 {
				return true
			}
		}
	}
	return false
}
