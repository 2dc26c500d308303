package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/config"
	"pithos/internal/engine/filekeys"
	"pithos/internal/engine/memory"
)

const policedUsers = `keystore:
  kind: file
  groups:
    - name: listers
      account: acme
      policies:
        list: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "s3:ListBucket", Resource: "*"}]}
  users:
    - {name: admin, account: acme}
    - name: bob
      account: acme
      roles: []
      groups: [listers]
      policies:
        own: |
          {"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:CreateBucket","Resource":"*"}}
      keys:
        - {access_key: BOBWHOLE, secret_key: secret-of-bob}
        - access_key: BOBBOUND
          secret_key: secret-of-bob-too
          policy: {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}}
`

func TestPoliciesOfTheFileDecideAndChangeWithIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pithos.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(policedUsers)
	reload := func() (*config.Config, error) { return config.Load(config.Sources{File: file}) }
	cfg, err := reload()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := filekeys.New(fileUsers(cfg.Keystore))
	if err != nil {
		t.Fatal(err)
	}
	st := &stores{keys: keys, file: keys}
	w, log := watching()
	w.add(st.watchedUsers(Options{File: file, Reload: reload}))
	engine := memory.New(clock.System{})
	b := backend.New(backend.Stores{Keys: keys, Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}, backend.Options{BlockSize: 64 << 10, BufferBytes: 8 << 20, PartMin: 1})
	_, admin, err := b.Principal(t.Context(), "acme:admin")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.CreateContainer(t.Context(), backend.Caller{Principal: admin}, backend.NewContainer{Account: "acme", Name: "box", Bucket: "box"}); err != nil {
		t.Fatal(err)
	}
	may := func(want bool, a access.Action, what string) {
		t.Helper()
		w.look(t.Context(), false)
		_, bob, err := b.Principal(t.Context(), "acme:bob")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Container(t.Context(), backend.Caller{Principal: bob}, backend.Ref{Bucket: "box"}, a); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	may(true, access.ListBucket, "the group allows it")
	may(false, access.GetBucketPolicyStatus, "nothing allows it")
	write(strings.Replace(policedUsers, "Effect: Allow", "Effect: Deny", 1))
	may(false, access.ListBucket, "the group denies it now")
	write(strings.Replace(policedUsers, "Effect: Allow", "Effect: Perhaps", 1))
	may(false, access.ListBucket, "a broken file leaves what was there")
	if !strings.Contains(log.String(), "group listers of account acme: policy list: ") {
		t.Errorf("the log does not tell whose policy is broken: %s", log)
	}
	write(strings.Replace(policedUsers, "s3:CreateBucket", "s3:GetBucketPolicy*", 1))
	may(true, access.ListBucket, "the group allows it again")
	id, err := keys.Lookup(t.Context(), "BOBBOUND")
	if err != nil || !strings.Contains(string(id.Key.Policy), `"s3:ListBucket"`) || len(id.User.Policies) != 1 || len(id.Account.GroupPolicies["listers"]) != 1 {
		t.Errorf("%v %v", id.User, err)
	}
	if id, err := keys.Lookup(t.Context(), "BOBWHOLE"); err != nil || id.Key.Policy != nil {
		t.Errorf("a key without a policy has one: %v", err)
	}
}
