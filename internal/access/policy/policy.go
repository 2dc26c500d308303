// Package policy reads and evaluates access policies in the language of AWS
// IAM: who may (or may not) do what to which bucket or object under which
// conditions. It is pure: a decision depends on the policy and the request
// that is handed in, and on nothing else.
//
// Parse is strict. A policy with an element, operator or condition key that is
// not known is refused, since what is not understood cannot be enforced. What
// Parse accepts, Print writes back in a canonical form that Parse reads to the
// same policy.
//
// Source: AWS Identity and Access Management User Guide, "IAM JSON policy
// elements reference"; Amazon S3 User Guide, "Policies and permissions in
// Amazon S3"; Service Authorization Reference, "Actions, resources, and
// condition keys for Amazon S3".
package policy

// Limits of a policy.
const (
	BucketMax     = 20 << 10 // bytes of a bucket policy (S3 User Guide, "Bucket policies")
	IdentityMax   = 6 << 10  // bytes of a policy attached to a user, group or key (IAM quotas: a managed policy)
	depthMax      = 8        // nesting of the document; the language itself needs six
	statementsMax = 200
	valuesMax     = 500 // of one list: principals, actions, resources, values of a condition
	keysMax       = 100 // conditions of one statement
	textMax       = 2048
)

// Kind says what a policy is attached to.
type Kind uint8

const (
	Bucket   Kind = iota // to a bucket: statements name principals, and resources of the bucket
	Identity             // to a user, group or key: whom it is about is where it is attached
)

// Versions of the language. Without one a policy is of the older, which knows no variables.
const (
	older   = "2008-10-17"
	current = "2012-10-17"
)

// Policy is a policy that was parsed. It never changes.
type Policy struct {
	kind       Kind
	version    string // as written; "" is the older
	id         string
	statements []statement
	public     bool
}

// statement is one rule. Of each pair of an element and its Not form exactly one is written; not says that it is the latter.
type statement struct {
	sid        string
	deny       bool
	principals *principals // nil in identity policies
	actions    texts
	resources  texts
	conditions []condition
}

// texts are patterns of actions or resources.
type texts struct {
	not  bool
	list []text
}

// condition is one operator applied to one key.
type condition struct {
	operator operator
	key      string // as written
	lower    string // as compared
	values   []value
}

// Facts tell what a request is like. Keys are condition keys in lower case ("aws:sourceip", "s3:existingobjecttag/project": what follows the slash
// keeps its case). A key that the request does not have is absent, which is not the same as empty.
type Facts interface {
	Fact(key string) (values []string, ok bool)
}

// Request is what is asked of a policy.
type Request struct {
	Action   string // "s3:GetObject"
	Resource string // "arn:aws:s3:::bucket/key"
	// Who asks. Everything is "" for the anonymous public.
	Account   string
	User      string // short name inside the account
	Canonical string
	Facts     Facts // nil: none
}

// Match says whom an Allow statement named.
type Match uint8

// The matches, from the weakest.
const (
	NoMatch     Match = iota
	ToAccount         // the principal's account: it is for the account to say who of it may
	ToPrincipal       // the principal itself
	ToEveryone        // "*"
)

// Verdict is what a policy says about a request.
type Verdict struct {
	Denied  bool   // a Deny statement applies: nothing else counts
	Allowed Match  // the strongest Allow statement that applies; ToPrincipal in identity policies
	Sid     string // of the statement that decided, or its number
}

// Evaluate applies the policy to a request. A nil policy says nothing.
func (p *Policy) Evaluate(q *Request) Verdict {
	var v Verdict
	if p == nil {
		return v
	}
	for i := range p.statements {
		s := &p.statements[i]
		m := s.applies(p, q)
		switch {
		case m == NoMatch:
		case s.deny:
			return Verdict{Denied: true, Sid: s.name(i)}
		case m > v.Allowed:
			v.Allowed, v.Sid = m, s.name(i)
		}
	}
	return v
}

// applies tells whether the statement speaks of the request, and by what its principal was named.
func (s *statement) applies(p *Policy, q *Request) Match {
	m := ToPrincipal
	if p.kind == Bucket {
		if m = s.principals.match(q); m == NoMatch {
			return NoMatch
		}
	}
	if !s.actions.match(q, lower(q.Action), s.deny) || !s.resources.match(q, q.Resource, s.deny) {
		return NoMatch
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q, s.deny) {
			return NoMatch
		}
	}
	return m
}

// match tells whether one of the patterns fits, or for the Not form, that none does. A pattern whose variable has no value fits nothing; what
// nobody can tell in the Not form is taken for the side of caution: a Deny applies, an Allow does not.
func (t *texts) match(q *Request, subject string, deny bool) bool {
	for i := range t.list {
		fits, known := t.list[i].match(q, subject)
		if t.not && !known && !deny {
			return false
		}
		if fits {
			return !t.not
		}
	}
	return t.not
}

// name is how the log calls the statement.
func (s *statement) name(i int) string {
	if s.sid != "" {
		return s.sid
	}
	return "#" + itoa(i+1)
}
