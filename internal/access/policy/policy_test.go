package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pithos/internal/access/policy"
	"pithos/internal/errs"
)

// facts are a request's facts in a test.
type facts map[string][]string

func (f facts) Fact(key string) ([]string, bool) {
	v, ok := f[key]
	return v, ok
}

// one makes a policy of one statement on everything in the bucket for everybody; more holds further elements.
func one(effect, action, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Principal":"*","Action":%q,"Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]%s}}`, effect, action, more)
}

func when(condition string) string { return one("Allow", "s3:*", `"Condition":`+condition) }

func parse(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), policy.Bucket)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

func read(key string) *policy.Request {
	return &policy.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/" + key}
}

func TestWhatASyntaxErrorIsCalled(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	for text, want := range map[string]string{
		``:                                  "Policies must be valid JSON and the first byte must be '{'",
		`[]`:                                "first byte must be '{'",
		`{`:                                 "Policies must be valid JSON",
		`{} x`:                              "something behind the end",
		"{\"Id\":\"\xff\"}":                 "Policies must be valid JSON",
		`{}`:                                "Missing required field Statement",
		`{"Statement":[]}`:                  "Statement is empty",
		`{"Statement":[1]}`:                 "a Statement is an object",
		`{"Statement":` + deep + `}`:        "nested too deeply",
		`{"Version":"2012","Statement":[]}`: "valid version string",
		`{"Version":"2012-10-17","Version":"2012-10-17"}`: "occurs twice",
		`{"Rules":[]}`: "Unknown field 'Rules'",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}`:                                          "Missing required field Resource",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Resource":"*"}]}`:                                                   "Missing required field Action",
		`{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`:                                           "Missing required field Principal",
		`{"Statement":[{"Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`:                                            "Missing required field Effect",
		`{"Statement":[{"Effect":"allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`:                           "Invalid effect: 'allow'",
		`{"Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":"a"},"Action":"s3:GetObject","Resource":"*"}]}`:                "Allow with NotPrincipal is not allowed.",
		`{"Statement":[{"Effect":"Deny","Principal":"*","NotPrincipal":{"AWS":"a"},"Action":"s3:GetObject","Resource":"*"}]}`: "not both",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Verb":1}]}`:                  "Unknown field 'Verb'",
		one("Allow", "s3:GetObjekt", ""): "Policy has invalid action: 's3:GetObjekt'",
		one("Allow", "ec2:Run", ""):      "Policy has invalid action",
		one("Allow", "GetObject", ""):    "Policy has invalid action",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":[],"Resource":"*"}]}`:                                                                "Policy has invalid action",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"b"}]}`:                                                    "Policy has invalid resource",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::"}]}`:                                        "Policy has invalid resource",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username"}]}`: "Policy has invalid resource",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:nothing}"}]}`: "Policy has invalid resource",
		when(`{"StringIs":{"aws:username":"a"}}`):                                               "Invalid Condition type : 'StringIs'",
		when(`{"NumericIs":{"s3:max-keys":"1"}}`):                                               "Invalid Condition type",
		when(`{"ForAllValues:Null":{"aws:username":"true"}}`):                                   "Invalid Condition type",
		when(`{"NullIfExists":{"aws:username":"true"}}`):                                        "Invalid Condition type",
		when(`{"StringEquals":{"aws:nobody":"a"}}`):                                             "invalid condition key: 'aws:nobody'",
		when(`{"StringEquals":{"s3:ExistingObjectTag":"a"}}`):                                   "invalid condition key",
		when(`{"StringEquals":{"s3:ExistingObjectTag/":"a"}}`):                                  "invalid condition key",
		when(`{"StringEquals":{"aws:username":[]}}`):                                            "invalid condition value",
		when(`{"StringEquals":{"aws:username":{}}}`):                                            "invalid condition value",
		when(`{"StringEquals":{"aws:username":null}}`):                                          "invalid condition value",
		when(`{"StringEquals":[]}`):                                                             "must be an object",
		when(`[]`):                                                                              "Condition must be an object",
		when(`{"NumericEquals":{"s3:max-keys":"0x10"}}`):                                        "invalid condition value",
		when(`{"NumericEquals":{"s3:max-keys":"${aws:userid}"}}`):                               "invalid condition value",
		when(`{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`):                                 "invalid condition value",
		when(`{"Bool":{"aws:SecureTransport":"yes"}}`):                                          "invalid condition value",
		when(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`):                                    "invalid condition value",
		when(`{"BinaryEquals":{"aws:userid":"%"}}`):                                             "invalid condition value",
		when(`{"ArnLike":{"aws:SourceArn":"bucket"}}`):                                          "invalid condition value",
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{"AWS":"arn:aws:iam::a:group/g"}`, 1): "Invalid principal in policy",
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{"AWS":"arn:aws:iam::a:user/*"}`, 1):  "Invalid principal in policy",
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{"GCP":"a"}`, 1):                      "Invalid principal in policy",
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `"a"`, 1):                              "Invalid principal in policy",
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{}`, 1):                               "Invalid principal in policy",
		one("Allow", "s3:*", `"Sid":"`+strings.Repeat("x", 3000)+`"`):                           "Sid must be a string",
	} {
		_, err := policy.Parse([]byte(text), policy.Bucket)
		if !errs.Is(err, errs.Invalid) || errs.ReasonOf(err) != errs.BadPolicy || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
	if _, err := policy.Parse([]byte("{"+strings.Repeat(" ", policy.BucketMax)), policy.Bucket); errs.ReasonOf(err) != errs.EntityTooLarge {
		t.Error(err)
	}
	for text, want := range map[string]string{
		one("Allow", "s3:*", ""): "cannot name a Principal",
		`{"Statement":[{"Effect":"Allow","Action":"s3:GetObjekt","Resource":"*"}]}`: "Policy has invalid action",
	} {
		if _, err := policy.Parse([]byte(text), policy.Identity); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
	if _, err := policy.Parse([]byte(`{"Statement":[{"Effect":"Allow","Action":["iam:*","s3:Get*"],"Resource":["arn:aws:iam:::*","arn:aws:s3:::b"]}]}`), policy.Identity); err != nil {
		t.Error(err)
	}
}

func TestConditions(t *testing.T) {
	f := facts{
		"s3:prefix": {"home/"}, "s3:max-keys": {"100"}, "aws:sourceip": {"10.1.2.3"}, "aws:securetransport": {"true"},
		"aws:currenttime": {"2026-03-01T12:00:00Z"}, "aws:epochtime": {"1772366400"}, "s3:requestobjecttagkeys": {"a", "b"},
		"s3:existingobjecttag/Team": {"Red"}, "aws:sourcearn": {"arn:aws:s3:::x"}, "aws:useragent": {"curl/8*"}, "s3:x-amz-acl": {"cHVibGlj"},
	}
	for condition, want := range map[string]bool{
		`{"StringEquals":{"s3:prefix":"home/"}}`:                                                              true,
		`{"StringEquals":{"S3:Prefix":["","home/"]}}`:                                                         true,
		`{"StringEquals":{"s3:prefix":"home/*"}}`:                                                             false,
		`{"StringNotEquals":{"s3:prefix":["a","home/"]}}`:                                                     false,
		`{"StringNotEquals":{"s3:prefix":["a","b"]}}`:                                                         true,
		`{"StringEqualsIgnoreCase":{"s3:prefix":"HOME/"}}`:                                                    true,
		`{"StringNotEqualsIgnoreCase":{"s3:prefix":"HOME/"}}`:                                                 false,
		`{"StringLike":{"s3:prefix":"h?m*"}}`:                                                                 true,
		`{"StringNotLike":{"s3:prefix":"h?m*"}}`:                                                              false,
		`{"StringLike":{"aws:UserAgent":"curl/8${*}"}}`:                                                       true,
		`{"StringLike":{"s3:prefix":"${aws:UserAgent}"}}`:                                                     false,
		`{"StringEquals":{"s3:delimiter":"/"}}`:                                                               false,
		`{"StringNotEquals":{"s3:delimiter":"/"}}`:                                                            true,
		`{"StringEqualsIfExists":{"s3:delimiter":"/"}}`:                                                       true,
		`{"StringEqualsIfExists":{"s3:prefix":"/"}}`:                                                          false,
		`{"Null":{"s3:delimiter":"true"}}`:                                                                    true,
		`{"Null":{"s3:delimiter":false}}`:                                                                     false,
		`{"Null":{"s3:prefix":["true"]}}`:                                                                     false,
		`{"Null":{"s3:prefix":"false"}}`:                                                                      true,
		`{"NumericEquals":{"s3:max-keys":100}}`:                                                               true,
		`{"NumericNotEquals":{"s3:max-keys":"100"}}`:                                                          false,
		`{"NumericLessThan":{"s3:max-keys":"100"}}`:                                                           false,
		`{"NumericLessThanEquals":{"s3:max-keys":"1e2"}}`:                                                     true,
		`{"NumericGreaterThan":{"s3:max-keys":"99.5"}}`:                                                       true,
		`{"NumericGreaterThanEquals":{"s3:max-keys":"101"}}`:                                                  false,
		`{"NumericLessThan":{"s3:prefix":"101"}}`:                                                             false,
		`{"DateGreaterThan":{"aws:CurrentTime":"2026-03-01"}}`:                                                true,
		`{"DateLessThan":{"aws:CurrentTime":"2026-03-01T13:00:00+01:00"}}`:                                    false,
		`{"DateLessThanEquals":{"aws:EpochTime":"1772366400"}}`:                                               true,
		`{"NumericGreaterThan":{"aws:EpochTime":"1772366399"}}`:                                               true,
		`{"DateEquals":{"aws:CurrentTime":"2026-03-01T12:00Z"}}`:                                              true,
		`{"DateNotEquals":{"aws:CurrentTime":"2026-03-01T12:00Z"}}`:                                           false,
		`{"Bool":{"aws:SecureTransport":true}}`:                                                               true,
		`{"Bool":{"aws:SecureTransport":"false"}}`:                                                            false,
		`{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`:                                                     false,
		`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`:                                             true,
		`{"BinaryEquals":{"s3:x-amz-acl":"cHVibGlj"}}`:                                                        true,
		`{"BinaryEquals":{"s3:x-amz-acl":"cHVibGlk"}}`:                                                        false,
		`{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","10.1.0.0/16"]}}`:                                       true,
		`{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`:                                                           true,
		`{"IpAddress":{"aws:SourceIp":"::ffff:10.0.0.0/104"}}`:                                                true,
		`{"NotIpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`:                                                     false,
		`{"NotIpAddress":{"aws:SourceIp":"2001:db8::/32"}}`:                                                   true,
		`{"ArnLike":{"aws:SourceArn":"arn:*:s3:::x"}}`:                                                        true,
		`{"ArnEquals":{"aws:SourceArn":"arn:aws:s*x"}}`:                                                       false,
		`{"ArnNotLike":{"aws:SourceArn":"arn:aws:s3:::y"}}`:                                                   true,
		`{"StringEquals":{"s3:ExistingObjectTag/Team":"Red"}}`:                                                true,
		`{"StringEquals":{"s3:ExistingObjectTag/team":"Red"}}`:                                                false,
		`{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a","b","c"]}}`:                             true,
		`{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a"]}}`:                                     false,
		`{"ForAllValues:StringEquals":{"s3:delimiter":["a"]}}`:                                                true,
		`{"ForAllValues:StringNotEquals":{"s3:RequestObjectTagKeys":["c"]}}`:                                  true,
		`{"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":["b","c"]}}`:                                  true,
		`{"ForAnyValue:StringEquals":{"s3:delimiter":["b","c"]}}`:                                             false,
		`{"ForAnyValue:StringNotEquals":{"s3:RequestObjectTagKeys":["a"]}}`:                                   true,
		`{"ForAnyValue:StringNotEquals":{"s3:delimiter":["a"]}}`:                                              false,
		`{"StringEquals":{"aws:username":"bob","aws:userid":"acme:bob"},"Null":{"aws:PrincipalArn":"false"}}`: true,
		`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::acme:user/bob","aws:PrincipalType":"User","aws:PrincipalAccount":"acme"}}`: true,
		`{"StringEquals":{"aws:username":"bob","s3:prefix":"x"}}`:                                                                     false,
	} {
		q := read("k")
		q.Account, q.User, q.Facts = "acme", "bob", f
		if got := parse(t, when(condition)).Evaluate(q).Allowed == policy.ToEveryone; got != want {
			t.Errorf("%s holds: %v", condition, got)
		}
	}
}

func TestVariables(t *testing.T) {
	const home = `{"Version":%q,"Statement":[{"Effect":%q,"Principal":"*","Action":"s3:GetObject",%q:"arn:aws:s3:::b/${aws:username}/*"%s}]}`
	bob := func(key string) *policy.Request {
		q := read(key)
		q.Account, q.User = "acme", "bob"
		return q
	}
	star := bob("anything/x")
	star.User = "*"
	own := parse(t, fmt.Sprintf(home, "2012-10-17", "Allow", "Resource", ""))
	for _, c := range []struct {
		p    *policy.Policy
		q    *policy.Request
		want bool
	}{
		{own, bob("bob/x"), true},
		{own, bob("eve/x"), false},
		{own, read("bob/x"), false},
		{own, read("/x"), false},
		{own, star, false},
		{parse(t, fmt.Sprintf(home, "2008-10-17", "Allow", "Resource", "")), bob("bob/x"), false},
		{parse(t, fmt.Sprintf(home, "2008-10-17", "Allow", "Resource", "")), bob("${aws:username}/x"), true},
		{parse(t, strings.Replace(fmt.Sprintf(home, "2012-10-17", "Allow", "Resource", ""), "{aws:username}", "{aws:username, 'guest'}", 1)), read("guest/x"), true},
		{parse(t, fmt.Sprintf(home, "2012-10-17", "Allow", "NotResource", "")), bob("eve/x"), true},
		{parse(t, fmt.Sprintf(home, "2012-10-17", "Allow", "NotResource", "")), read("eve/x"), false},
		{parse(t, fmt.Sprintf(home, "2012-10-17", "Allow", "NotResource", `,"Condition":{"StringNotEquals":{"aws:userid":"${aws:username}"}}`)), read("eve/x"), false},
	} {
		if got := c.p.Evaluate(c.q).Allowed > 0; got != c.want {
			t.Errorf("%s\n%+v: %v", c.p.Print(), c.q, got)
		}
	}
	// What nobody can tell counts against who asks.
	if v := parse(t, fmt.Sprintf(home, "2012-10-17", "Deny", "NotResource", "")).Evaluate(read("x")); !v.Denied {
		t.Error("a Deny whose exception has no name was passed over")
	}
	deny := one("Deny", "s3:*", `"Condition":{"StringNotEquals":{"aws:userid":"${aws:username}"}}`)
	if v := parse(t, deny).Evaluate(read("x")); !v.Denied {
		t.Error("a Deny whose exception has no name was passed over")
	}
}

func TestPrincipals(t *testing.T) {
	named := func(p string) *policy.Policy {
		return parse(t, strings.Replace(one("Allow", "s3:GetObject", ""), `"*"`, p, 1))
	}
	as := func(account, user string) *policy.Request {
		q := read("k")
		q.Account, q.User, q.Canonical = account, user, "c-"+account
		return q
	}
	for _, c := range []struct {
		principal     string
		account, user string
		want          policy.Match
	}{
		{`"*"`, "", "", policy.ToEveryone},
		{`{"AWS":"*"}`, "a", "u", policy.ToEveryone},
		{`{"AWS":"a"}`, "a", "u", policy.ToAccount},
		{`{"AWS":"arn:aws:iam::a:root"}`, "a", "u", policy.ToAccount},
		{`{"AWS":["arn:aws:iam::b:root","arn:aws:iam::a:user/u","a"]}`, "a", "u", policy.ToPrincipal},
		{`{"AWS":"arn:aws:iam::a:user/v"}`, "a", "u", policy.NoMatch},
		{`{"AWS":"arn:aws:iam::a:role/u"}`, "a", "u", policy.NoMatch},
		{`{"AWS":"arn:aws:sts::a:assumed-role/u/s"}`, "a", "u", policy.NoMatch},
		{`{"AWS":"a"}`, "", "", policy.NoMatch},
		{`{"CanonicalUser":"c-a"}`, "a", "u", policy.ToAccount},
		{`{"CanonicalUser":"c-b"}`, "a", "u", policy.NoMatch},
		{`{"Service":"logging.s3.amazonaws.com"}`, "a", "u", policy.NoMatch},
		{`{"Federated":"example.org","AWS":"a"}`, "a", "u", policy.ToAccount},
	} {
		if got := named(c.principal).Evaluate(as(c.account, c.user)).Allowed; got != c.want {
			t.Errorf("%s for %s:%s: %d, want %d", c.principal, c.account, c.user, got, c.want)
		}
	}
	but := parse(t, strings.Replace(strings.Replace(one("Deny", "s3:*", ""), `"Principal"`, `"NotPrincipal"`, 1), `"*"`, `{"AWS":["arn:aws:iam::a:user/u","b"]}`, 1))
	for who, denied := range map[[2]string]bool{{"a", "u"}: false, {"a", "v"}: true, {"b", "u"}: false, {"", ""}: true} {
		if got := but.Evaluate(as(who[0], who[1])).Denied; got != denied {
			t.Errorf("%v is denied: %v", who, got)
		}
	}
}

func TestActionsAndResources(t *testing.T) {
	p := parse(t, `{"Statement":[
		{"Sid":"reads","Effect":"Allow","Principal":"*","Action":["s3:get*","S3:ListBucket"],"Resource":["arn:aws:s3:::b","arn:aws:s3:::b/pub/*"]},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/pub/secret?"},
		{"Effect":"Allow","Principal":"*","NotAction":"s3:Get*","NotResource":"arn:aws:s3:::b*"}]}`)
	for _, c := range []struct {
		action, resource string
		want             policy.Verdict
	}{
		{"s3:GetObject", "b/pub/x", policy.Verdict{Allowed: policy.ToEveryone, Sid: "reads"}},
		{"s3:GetObject", "b/pub/a/b", policy.Verdict{Allowed: policy.ToEveryone, Sid: "reads"}},
		{"s3:GetObject", "b/x", policy.Verdict{}},
		{"s3:GetObject", "b/pub/secret1", policy.Verdict{Denied: true, Sid: "#2"}},
		{"s3:GetObject", "b/pub/secret12", policy.Verdict{Allowed: policy.ToEveryone, Sid: "reads"}},
		{"s3:PutObject", "b/pub/x", policy.Verdict{}},
		{"s3:ListBucket", "b", policy.Verdict{Allowed: policy.ToEveryone, Sid: "reads"}},
		{"s3:PutObject", "c/x", policy.Verdict{Allowed: policy.ToEveryone, Sid: "#3"}},
		{"s3:GetObject", "c/x", policy.Verdict{}},
	} {
		if got := p.Evaluate(&policy.Request{Action: c.action, Resource: "arn:aws:s3:::" + c.resource}); got != c.want {
			t.Errorf("%s on %s: %+v, want %+v", c.action, c.resource, got, c.want)
		}
	}
	for resource, ok := range map[string]bool{
		"arn:aws:s3:::b": true, "arn:aws:s3:::b/*": true, "arn:aws:s3:::*": true, "*": true, "arn:aws:s3:::b*x": true, "arn:aws:s3:::c": false, "arn:aws:s3:::?/x": true, "arn:aws:s3:::bb/b": false,
	} {
		p := parse(t, fmt.Sprintf(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":%q}}`, resource))
		if err := p.CheckBucket("b"); (err == nil) != ok {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		one("Allow", "s3:GetObject", ""):                                         true,
		one("Deny", "s3:GetObject", ""):                                          false,
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{"AWS":"a"}`, 1):       false,
		strings.Replace(one("Allow", "s3:*", ""), `"*"`, `{"AWS":["a","*"]}`, 1): true,
		when(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/32"}}`):                     false,
		when(`{"IpAddress":{"aws:SourceIp":["10.0.0.0/32","0.0.0.0/0"]}}`):       true,
		when(`{"IpAddress":{"aws:SourceIp":"::/0"}}`):                            true,
		when(`{"IpAddress":{"aws:SourceIp":"fd00::/8"}}`):                        false,
		when(`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/32"}}`):                  true,
		when(`{"IpAddressIfExists":{"aws:SourceIp":"10.0.0.0/32"}}`):             true,
		when(`{"StringEquals":{"aws:SourceAccount":"a"}}`):                       false,
		when(`{"StringLike":{"aws:SourceAccount":"a*"}}`):                        true,
		when(`{"StringLike":{"aws:PrincipalAccount":"${aws:username}"}}`):        true,
		when(`{"ForAllValues:StringEquals":{"aws:PrincipalAccount":"a"}}`):       true,
		when(`{"StringEquals":{"aws:userid":"anonymous"}}`):                      true,
		when(`{"StringLike":{"aws:Referer":"http://example.org/*"}}`):            true,
		when(`{"Bool":{"aws:SecureTransport":"true"}}`):                          true,
	} {
		if got := parse(t, text).Public(); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
	}
	if (*policy.Policy)(nil).Public() {
		t.Error("no policy is public")
	}
}

// A pattern against a name takes steps in their product and no more.
func TestGlobIsBounded(t *testing.T) {
	p := parse(t, fmt.Sprintf(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::%sb"}}`, strings.Repeat("*a", 900)))
	if p.Evaluate(read(strings.Repeat("a", 1024))).Allowed != policy.NoMatch {
		t.Error("it fits")
	}
}

// Whatever the bytes are, Parse refuses them or gives a policy that evaluates without failing and that comes back the same from its canonical form.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{
		one("Allow", "s3:Get*", ""), when(`{"ForAnyValue:StringLikeIfExists":{"s3:prefix":["a${aws:username,'x'}*?"]}}`),
		when(`{"NumericLessThan":{"s3:max-keys":[1,2.5]},"Null":{"aws:userid":true}}`), when(`{"IpAddress":{"aws:SourceIp":"::ffff:1.2.3.4/100"}}`),
		when(`{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"BinaryEquals":{"aws:userid":"AAAA"},"ArnLike":{"aws:SourceArn":"arn:*:*:*:*:*"}}`),
		strings.Replace(one("Deny", "s3:*", ""), `"Principal":"*"`, `"NotPrincipal":{"AWS":["arn:aws:iam::a:root","b"],"CanonicalUser":"c","Service":"x"}`, 1),
		`{"Id":"x","Statement":[{"Effect":"Deny","NotAction":["s3:*"],"NotResource":["*"]}]}`, `{"Statement":`, "[", `{"Statement":[{"Sid":"\ud800"}]}`,
	} {
		f.Add([]byte(s), "acme", "bob", "k\u00e9y")
	}
	f.Fuzz(func(t *testing.T, text []byte, account, user, fact string) {
		for _, kind := range []policy.Kind{policy.Bucket, policy.Identity} {
			p, err := policy.Parse(text, kind)
			if err != nil {
				if !errs.Is(err, errs.Invalid) {
					t.Fatal(err)
				}
				continue
			}
			q := read(fact)
			q.Account, q.User, q.Canonical, q.Facts = account, user, fact, allFacts{fact}
			v := p.Evaluate(q)
			_, _ = p.Public(), p.CheckBucket("b")
			canonical := p.Print()
			again, err := policy.Parse(canonical, kind)
			if errs.ReasonOf(err) == errs.EntityTooLarge {
				continue // its escapes take more room
			}
			if err != nil {
				t.Fatalf("%s\nis printed as\n%s\n%v", text, canonical, err)
			}
			if got := string(again.Print()); got != string(canonical) {
				t.Fatalf("%s\nis printed as\n%s\nand then\n%s", text, canonical, got)
			}
			if got := again.Evaluate(q); got != v {
				t.Fatalf("%s\n%+v after printing, %+v before", text, got, v)
			}
		}
	})
}

// allFacts gives every key the same values.
type allFacts []string

func (a allFacts) Fact(string) ([]string, bool) { return a, true }
