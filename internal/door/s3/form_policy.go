package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// postPolicy says what a form may do and until when (S3 API reference, "POST Policy").
type postPolicy struct {
	expiration time.Time
	conditions []postCondition
	least      int64 // size of the file
	most       int64 // -1: no limit
}

// postCondition is what one field must be.
type postCondition struct {
	field  string // in lower case, without "$"
	value  string
	prefix bool   // the value must begin so; else it must be so
	shown  string // as error messages show it
}

// parsePolicy reads a policy as the form carries it, in base64. Errors: InvalidPolicyDocument.
func parsePolicy(text string) (*postPolicy, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Map(dropSpace, text))
	if err != nil {
		return nil, badPolicy("Invalid Policy: Invalid Base64 Encoding.")
	}
	var doc map[string]json.RawMessage // encoding/json would take "Expiration" for "expiration"; AWS does not
	if err := json.Unmarshal(unescapeDollar(raw), &doc); err != nil || doc == nil {
		return nil, badPolicy("Invalid Policy: Invalid JSON.").because(err)
	}
	for name := range doc {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy("Invalid Policy: Unexpected: '" + clip(name) + "'.")
		}
	}
	p := &postPolicy{most: -1}
	if p.expiration, err = policyTime(doc["expiration"]); err != nil {
		return nil, err
	}
	var conditions []json.RawMessage
	if doc["conditions"] == nil {
		return nil, badPolicy("Invalid Policy: Policy missing conditions.")
	}
	if err := json.Unmarshal(doc["conditions"], &conditions); err != nil || conditions == nil {
		return nil, badPolicy("Invalid Policy: Invalid 'conditions' value: must be a List.")
	}
	for _, c := range conditions {
		if err := p.add(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func badPolicy(msg string) *fault { return fail(InvalidPolicyDocument, msg) }

// dropSpace takes out what editors put into long base64 texts.
func dropSpace(r rune) rune {
	if strings.ContainsRune(" \t\r\n", r) {
		return -1
	}
	return r
}

// unescapeDollar turns the two escapes that policies have and JSON has not, "\$" and "\v", into what JSON can read.
func unescapeDollar(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case '$':
			out = append(out, '$')
		case 'v':
			out = append(out, `\u000b`...)
		default:
			out = append(out, '\\', raw[i])
		}
	}
	return out
}

func policyTime(raw json.RawMessage) (time.Time, error) {
	if raw == nil {
		return time.Time{}, badPolicy("Invalid Policy: Policy missing expiration.")
	}
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		if at, err := time.Parse("2006-01-02T15:04:05.999999999Z", text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, badPolicy("Invalid Policy: Invalid 'expiration' value: '" + clip(text) + "'")
}

// add reads one condition: {"field": "value"}, [operator, "$field", "value"] or ["content-length-range", least, most].
func (p *postPolicy) add(raw json.RawMessage) error {
	if bytes.HasPrefix(raw, []byte("{")) {
		var simple map[string]json.RawMessage
		if err := json.Unmarshal(raw, &simple); err != nil || len(simple) != 1 {
			return badPolicy("Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for field, value := range simple {
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return badPolicy("Invalid Policy: Invalid Simple-Condition: value must be a string.")
			}
			p.conditions = append(p.conditions, newCondition(strings.ToLower(field), text, false))
		}
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return badPolicy("Invalid Policy: Invalid Condition: must be a List or an Object.")
	}
	var operator string
	if err := json.Unmarshal(list[0], &operator); err != nil {
		return badPolicy("Invalid Policy: Invalid Condition: the operation must be a string.")
	}
	operator = strings.ToLower(operator)
	switch operator {
	case "eq", "starts-with":
	case "content-length-range":
		return p.addRange(list[1:])
	default:
		return badPolicy("Invalid Policy: Invalid Condition: unknown operation '" + clip(operator) + "'.")
	}
	var field, value string
	if len(list) != 3 {
		return badPolicy("Invalid Policy: Invalid Condition: wrong number of arguments.")
	}
	if err := errors.Join(json.Unmarshal(list[1], &field), json.Unmarshal(list[2], &value)); err != nil {
		return badPolicy("Invalid Policy: Invalid Condition: arguments must be strings.")
	}
	if len(field) < 2 || field[0] != '$' {
		return badPolicy("Invalid Policy: Invalid Condition: a field's name begins with '$'.")
	}
	p.conditions = append(p.conditions, newCondition(strings.ToLower(field[1:]), value, operator == "starts-with"))
	return nil
}

func newCondition(field, value string, prefix bool) postCondition {
	operator := "eq"
	if prefix {
		operator = "starts-with"
	}
	return postCondition{
		field: field, value: value, prefix: prefix,
		shown: `["` + operator + `", "$` + clip(field) + `", "` + clip(value) + `"]`,
	}
}

// addRange narrows the size of the file.
func (p *postPolicy) addRange(list []json.RawMessage) error {
	if len(list) != 2 {
		return badPolicy("Invalid Policy: Invalid content-length-range: wrong number of arguments.")
	}
	least, ok := policyNumber(list[0])
	most, ok2 := policyNumber(list[1])
	if !ok || !ok2 || most < least {
		return badPolicy("Invalid Policy: Invalid content-length-range: arguments must be two sizes, the smaller one first.")
	}
	p.least = max(p.least, least)
	if p.most < 0 || most < p.most {
		p.most = most
	}
	return nil
}

// policyNumber reads a size, which some clients write as a string.
func policyNumber(raw json.RawMessage) (int64, bool) {
	text := strings.Trim(string(raw), `"`)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false
	}
	return int64(min(n, math.MaxInt64)), true
}

// check tests the fields of a form. Errors: AccessDenied.
func (p *postPolicy) check(now time.Time, f *form) error {
	if !now.Before(p.expiration) {
		return outsidePolicy("Policy expired.")
	}
	covered := map[string]bool{}
	for i := range p.conditions {
		c := &p.conditions[i]
		covered[c.field] = true
		value, ok := f.fields[c.field]
		if !ok && c.prefix && c.value == "" && strings.HasPrefix(c.field, "x-amz-server-side-encryption") {
			continue // any encryption, and the bucket's own (ceph/s3-tests: test_sse_s3_default_post_object_authenticated_request)
		}
		if !ok || !c.holds(value) {
			return outsidePolicy("Policy Condition failed: " + c.shown)
		}
	}
	for _, name := range f.names {
		if !covered[name] && !freeField(name) {
			return outsidePolicy("Extra input fields: " + clip(name))
		}
	}
	return nil
}

func outsidePolicy(why string) error {
	return fail(AccessDenied, "Invalid according to Policy: "+why)
}

func (c *postCondition) holds(value string) bool {
	if !c.prefix {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	// A list of content types: each must begin so.
	for one := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(one), c.value) {
			return false
		}
	}
	return true
}

// freeField reports whether a form may have a field that its policy does not speak of: what signs, what asks to be ignored, and checksums, which
// can only make an upload fail.
func freeField(name string) bool {
	switch name {
	case "policy", "signature", "awsaccesskeyid", "x-amz-signature":
		return true
	}
	return strings.HasPrefix(name, "x-ignore-") || strings.HasPrefix(name, "x-amz-checksum-") || name == "content-md5"
}
