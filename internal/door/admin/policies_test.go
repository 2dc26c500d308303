package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/access/policy"
	"pithos/internal/door/admin"
)

const readOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}`

func TestPoliciesAreAttachedAndTakenAway(t *testing.T) {
	f := start(t, nil)
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "acme", Name: "bob", Roles: []string{}, Groups: []string{"readers"}}, nil); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{"user": "/v1/users/acme:bob/policies", "group": "/v1/accounts/acme/groups/readers/policies"} {
		t.Run(what, func(t *testing.T) {
			var all map[string]json.RawMessage
			if err := f.do(t, "PUT", path+"/read", json.RawMessage(readOnly), &all); err != nil || string(all["read"]) != readOnly {
				t.Fatalf("%s %v", all, err)
			}
			all = nil
			if err := f.do(t, "GET", path, nil, &all); err != nil || !cmp.Equal(all, map[string]json.RawMessage{"read": json.RawMessage(readOnly)}) {
				t.Errorf("%s %v", all, err)
			}
			for text, want := range map[string]string{
				`{}`:     "Missing required field Statement",
				`[]`:     "first byte",
				`"text"`: "first byte",
				strings.Replace(readOnly, `"Allow"`, `"Allow","Principal":"*"`, 1):                     "cannot name a Principal",
				strings.Replace(readOnly, `s3:Get*`, strings.Repeat("s3:Get*", policy.IdentityMax), 1): "maximum allowed document size",
			} {
				if err := f.do(t, "PUT", path+"/bad", json.RawMessage(text), nil); err == nil || !strings.Contains(failure(t, err).Message, want) {
					t.Errorf("%.80s: %v, want %q", text, err, want)
				}
			}
			for i := range 9 {
				if err := f.do(t, "PUT", fmt.Sprintf("%s/p%d", path, i), json.RawMessage(readOnly), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.do(t, "PUT", path+"/eleventh", json.RawMessage(readOnly), nil); err == nil || failure(t, err).Kind != "too large" {
				t.Errorf("an eleventh policy: %v", err)
			}
			if err := f.do(t, "PUT", path+"/a%20b", json.RawMessage(readOnly), nil); err == nil || !strings.Contains(failure(t, err).Message, "policy name") {
				t.Error(err)
			}
			if err := f.do(t, "DELETE", path+"/read", nil, &all); err != nil {
				t.Error(err)
			}
			if err := f.do(t, "DELETE", path+"/read", nil, nil); err == nil || failure(t, err).Kind != "not found" {
				t.Error(err)
			}
			for i := range 9 {
				if err := f.do(t, "DELETE", fmt.Sprintf("%s/p%d", path, i), nil, nil); err != nil {
					t.Error(err)
				}
			}
			all = nil
			if err := f.do(t, "GET", path, nil, &all); err != nil || len(all) != 0 {
				t.Errorf("%s %v", all, err)
			}
		})
	}
	if err := f.do(t, "PUT", "/v1/users/acme:eve/policies/read", json.RawMessage(readOnly), nil); err == nil || failure(t, err).Kind != "not found" {
		t.Error(err)
	}
	if err := f.do(t, "PUT", "/v1/accounts/nobody/groups/readers/policies/read", json.RawMessage(readOnly), nil); err == nil || failure(t, err).Kind != "not found" {
		t.Error(err)
	}
}

func TestAKeyMayHaveAPolicyOfItsOwn(t *testing.T) {
	f := start(t, nil)
	if err := f.do(t, "POST", "/v1/users", admin.NewUser{Account: "acme", Name: "bob"}, nil); err != nil {
		t.Fatal(err)
	}
	var k admin.Key
	if err := f.do(t, "POST", "/v1/keys", admin.NewKey{User: "acme:bob", Policy: json.RawMessage(readOnly)}, &k); err != nil || string(k.Policy) != readOnly {
		t.Fatalf("%+v %v", k, err)
	}
	id, err := f.stores.Keys().Lookup(t.Context(), k.AccessKey)
	if err != nil || string(id.Key.Policy) != readOnly {
		t.Errorf("%+v %v", id.Key, err)
	}
	if err := f.do(t, "POST", "/v1/keys", admin.NewKey{User: "acme:bob", Policy: json.RawMessage(`{}`)}, nil); err == nil || !strings.Contains(failure(t, err).Message, "Missing required field") {
		t.Error(err)
	}
}
