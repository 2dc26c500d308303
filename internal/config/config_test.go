package config_test

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pithos/internal/config"
)

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pithos.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNothingGivenIsTheDefaults(t *testing.T) {
	c, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), c); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "s3:\n", "data: ~\n", "{}"} {
		c, err := config.Load(config.Sources{File: write(t, empty)})
		if err != nil {
			t.Errorf("%q: %v", empty, err)
		} else if diff := cmp.Diff(config.Default(), c); diff != "" {
			t.Errorf("%q: %s", empty, diff)
		}
	}
}

func TestLaterSourcesOverride(t *testing.T) {
	file := write(t, "data: /from/file\ns3:\n  listen: 127.0.0.1:1001\n  region: file\n  domains: [file.example]\nlog: {level: warn}\n")
	c, err := config.Load(config.Sources{
		File:    file,
		Environ: []string{"PITHOS_S3_LISTEN=127.0.0.1:1002", "PITHOS_S3_REGION=env", "PITHOS_S3_DOMAINS=a.example, b.example", "PITHOS_GC_GRACE=", "HOME=/root"},
		Flags:   map[string]string{"s3.listen": "127.0.0.1:1003"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data = "/from/file"
	want.S3 = config.S3{Listen: "127.0.0.1:1003", Region: "env", Domains: []string{"a.example", "b.example"}, LogInterval: want.S3.LogInterval, TLS: want.S3.TLS}
	want.Log.Level = slog.LevelWarn
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
}

func TestEverySettingCanBeSetFromEverySource(t *testing.T) {
	for _, s := range config.Settings() {
		value := s.Default
		switch s.Key {
		case "s3.tls.cert", "s3.tls.key", "openstack.tls.cert", "openstack.tls.key", "s3.tls.client_ca", "openstack.tls.client_ca", "acme.domains":
			continue // only together; see TestTLS
		case "acme.ca":
			value = write(t, "")
		case "openstack.sync_realms", "openstack.sync_ca":
			value = "/etc/pithos/file"
		case "openstack.sync_cluster":
			value = "//realm1/cluster1"
		case "openstack.sync_hosts":
			value = "10.0.0.7,swift.example.org:8080"
		case "acme.email":
			value = "operator@example.org"
		case "openstack.disable_file":
			value = "/run/disabled"
		case "openstack.forbidden_characters":
			value = "'"
		case "s3.domains":
			value = "s3.example.org"
		case "encryption.keyring", "encryption.kms.file", "encryption.kms.default_key", "encryption.kms.vault.namespace", "encryption.kms.vault.token_file":
			value = "x"
		case "keystone.url":
			continue // only together; see TestKeystone
		case "encryption.kms.vault.address", "keystone.public_url":
			value = "https://vault.example.org:8200"
		}
		switch {
		case strings.HasSuffix(s.Key, ".datacenter"), strings.HasSuffix(s.Key, ".home"), strings.HasSuffix(s.Key, ".replication"), strings.HasSuffix(s.Key, ".ca") && s.Key != "acme.ca":
			value = "dc1"
		case strings.HasSuffix(s.Key, ".username"), strings.HasSuffix(s.Key, ".password_file"), strings.HasSuffix(s.Key, ".hosts"):
			continue // only together with other settings
		}
		for _, src := range []config.Sources{
			{Environ: []string{s.Variable + "=" + value}},
			{Flags: map[string]string{s.Key: value}},
		} {
			if _, err := config.Load(src); err != nil {
				t.Errorf("%s: %v", s.Key, err)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	a, b := write(t, ""), write(t, "")
	text := "s3:\n  tls:\n    cert: " + a + "\n    key: " + b + "\n    certificates:\n      - {cert: " + b + ", key: " + a + "}\n      - " + a + ":" + a + "\n" +
		"    acme: true\n    client_ca: " + a + "\n    client_auth: require\nacme: {domains: [S3.Example.org]}\n"
	c, err := config.Load(config.Sources{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]config.Pair{{Cert: a, Key: b}, {Cert: b, Key: a}, {Cert: a, Key: a}}, c.S3.TLS.Pairs()); diff != "" {
		t.Error(diff)
	}
	if c.ACME.Domains[0] != "s3.example.org" || !c.S3.TLS.On() || c.OpenStack.TLS.On() {
		t.Errorf("%+v", c.ACME)
	}
	again, err := config.Load(config.Sources{File: write(t, string(c.YAML()))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Error(diff)
	}
	c, err = config.Load(config.Sources{Environ: []string{"PITHOS_OPENSTACK_TLS_CERTIFICATES=" + a + ":" + b + "," + b + ":" + a}})
	if err != nil || len(c.OpenStack.TLS.Pairs()) != 2 {
		t.Error(err)
	}
}

func TestUsers(t *testing.T) {
	c, err := config.Load(config.Sources{File: write(t, `
keystore:
  kind: file
  users:
    - name: alice
      access_key: ALICE
      secret_key: alice-secret
    - name: tester
      account: test
      password: testing
      display_name: M. Tester
      canonical_id: 0123456789abcdef
      email: tester@example.org
      roles: []
      groups: [staff, "null"]
      keys:
        - {access_key: K1, secret_key: secret-of-k1}
        - access_key: K2-
          secret_key: secret-of-k2
          expires: 2030-01-02T03:04:05Z
    - {name: other, account: test, canonical_id: 0123456789abcdef, roles: [admin, reseller_admin]}
`)})
	if err == nil {
		t.Fatal("an access key of two characters passed")
	}
	if got := err.Error(); !strings.Contains(got, "pithos.yaml:17: keystore.users[1].keys[0].access_key: an access key has 3 to 128") {
		t.Error(got)
	}
	_ = c
	text := strings.ReplaceAll(`
keystore:
  kind: file
  users:
    - {name: alice, access_key: ALICE, secret_key: alice-secret}
    - name: tester
      account: test
      password: testing
      roles: []
      keys: [{access_key: KEY, secret_key: secret-of-key, expires: 2030-01-02T03:04:05Z}]
`, "KEY", "K2x")
	c, err = config.Load(config.Sources{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.User{
		{Name: "alice", Account: "alice", Keys: []config.Key{{AccessKey: "ALICE", Secret: "alice-secret"}}},
		{Name: "tester", Account: "test", Password: "testing", Roles: []string{}, Keys: []config.Key{
			{AccessKey: "K2x", Secret: "secret-of-key", Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
		}},
	}
	if diff := cmp.Diff(want, c.Keystore.Users); diff != "" {
		t.Error(diff)
	}
}

func TestComplaintsNameThePlaceAndTheWayOut(t *testing.T) {
	const users = "keystore:\n  kind: file\n  users:\n"
	for _, tc := range []struct{ name, yaml, want string }{
		{"unknown key", "data: x\ns3:\n  listn: :9000\n", "pithos.yaml:3: s3.listn: unknown key; did you mean listen?"},
		{"unknown section", "swift: {}\n", "pithos.yaml:1: swift: unknown key; known are data, s3, proxies, openstack, admin, keystore, bucketstore, metastore, blobstore, limits, quota, encryption, gc, scrub, testing, log"},
		{"dotted key", "s3.listen: :9000\n", "pithos.yaml:1: s3.listen: unknown key"},
		{"repeated key", "data: x\ndata: y\n", "pithos.yaml:2: data: given twice"},
		{"bad address", "s3:\n  listen: localhost\n", `pithos.yaml:2: s3.listen: "localhost" is not an address; write host:port`},
		{"bad port", "s3:\n  listen: localhost:http\n", `pithos.yaml:2: s3.listen: "http" is not a port; write a number from 0 to 65535`},
		{"bad host", "s3:\n  listen: \"a b:1\"\n", `"a b" is neither an IP address nor a host name`},
		{"same port", "s3: {listen: ':7000'}\nadmin: {listen: ':7000'}\n", "pithos.yaml:2: admin.listen: :7000 is also s3.listen; write another port"},
		{"bad size", "limits:\n  put_size: many\n", `pithos.yaml:2: limits.put_size: "many" is not a size; write a whole number of bytes or one with a unit`},
		{"size out of range", "limits: {part_min: 6GiB}\n", "limits.part_min: 6GiB is out of range; write a size from 1 to 5GiB"},
		{"sizes that contradict", "limits: {put_size: 1MiB}\n", "limits.part_min: 5MiB is more than limits.put_size (1MiB)"},
		{"overflow", "quota: {bytes: 99999999999999PiB}\n", "is not a size"},
		{"bad duration", "gc: {grace: soon}\n", `gc.grace: "soon" is not a duration; write for example 90s, 15m, 24h or 7d`},
		{"bad level", "log: {level: loud}\n", `log.level: "loud" is not a level; write debug, info, warn or error`},
		{"bad domain", "s3: {domains: ['*.example.org']}\n", `s3.domains: "*.example.org" is not a domain`},
		{"list for a value", "data: [a, b]\n", "data: write a single value here"},
		{"value for a section", "s3: :9000\n", "pithos.yaml:1: s3: write keys and values here"},
		{"cert without key", "s3: {tls: {cert: /x}}\n", "s3.tls.key: missing, but s3.tls.cert is set; write both or none"},
		{"half a pair", "s3: {tls: {certificates: [{cert: /x}]}}\n", `s3.tls.certificates: "/x:" is no pair of files`},
		{"word in a pair", "s3: {tls: {certificates: [{cert: /x, kye: /y}]}}\n", "s3.tls.certificates[0].kye: unknown key; did you mean key?"},
		{"certificate that is not there", "openstack: {tls: {certificates: ['/x:/y']}}\n", "openstack.tls.certificates: the file cannot be read: open /x"},
		{"clients without authority", "s3: {tls: {client_auth: require}}\n", "s3.tls.client_ca: missing, but client_auth is require"},
		{"authority without clients", "s3: {tls: {client_ca: pithos.yaml}}\n", "s3.tls.client_auth: none, so that client_ca would do nothing"},
		{"ACME without domains", "s3: {tls: {acme: true}}\n", "acme.domains: missing, but s3.tls.acme is true"},
		{"ACME without listener", "acme: {domains: [s3.example.org]}\n", "acme.domains: no listener uses it"},
		{"ACME wildcard", "acme: {domains: ['*.example.org']}\n", "acme.domains: \"*.example.org\" is not a domain"},
		{"cassandra", "metastore:\n  kind: cassandra\n", "pithos.yaml:2: metastore.hosts: kind: cassandra needs hosts"},
		{"mixed metadata and bytes", "metastore:\n  kind: cassandra\n  hosts: [a]\n", "blobstore.kind: embedded, but metastore.kind is cassandra: other gateways"},
		{
			"one keyspace for two stores", "metastore: {kind: cassandra, hosts: [b, a], keyspace: one}\nblobstore: {kind: cassandra, hosts: [a], keyspace: one}\n",
			"blobstore.keyspace: one is the keyspace of the metastore too",
		},
		{"two homes", "metastore: {kind: cassandra, hosts: [a], home: dc1, datacenter: dc2}\nblobstore: {kind: cassandra, hosts: [a]}\n", "metastore.datacenter: dc2, but metastore.home is dc1"},
		{"a home of blocks", "blobstore: {kind: cassandra, hosts: [a], home: dc1}\n", "blobstore.home"},
		{"hosts of an embedded store", "blobstore:\n  hosts: [a]\n", "pithos.yaml:2: blobstore.hosts: hosts are read only with kind: cassandra"},
		{"bad keyspace", "bucketstore: {kind: cassandra, hosts: [a], keyspace: A-b}\n", "bucketstore.keyspace: \"A-b\" is not a keyspace"},
		{"half a login", "bucketstore: {kind: cassandra, hosts: [a], username: u}\n", "username and password_file go together"},
		{"not YAML", "data: x\n  y: [\n", "pithos.yaml:2: not valid YAML: "},
		{"list at the top", "- a\n", "pithos.yaml:1: write keys and values here"},
		{"no users", "keystore: {kind: file}\n", "keystore.users: kind: file needs users"},
		{"users of another kind", "keystore: {users: [{name: a}]}\n", "users are read only with kind: file"},
		{"unknown user key", users + "    - name: a\n      acount: b\n", "pithos.yaml:5: keystore.users[0].acount: unknown key; did you mean account?"},
		{"no name", users + "    - account: b\n", "pithos.yaml:4: keystore.users[0]: name is missing"},
		{"half a key", users + "    - {name: a, access_key: abc}\n", "access_key without secret_key; write both or none"},
		{"same user", users + "    - name: a\n    - name: a\n", `pithos.yaml:5: keystore.users[1]: user "a:a" is already defined at`},
		{"same access key", users + "    - {name: a, access_key: abc, secret_key: 12345678}\n    - {name: b, access_key: abc, secret_key: 12345678}\n", "access_key abc is already given at"},
		{"two canonical ids", users + "    - {name: a, account: t, canonical_id: x}\n    - {name: b, account: t, canonical_id: y}\n", `account "t" has canonical_id x at`},
		{"shared canonical id", users + "    - {name: a, canonical_id: x}\n    - {name: b, canonical_id: x}\n", `x is already the canonical_id of account "a"`},
		{"broken policy", users + "    - name: b\n      account: a\n      policies:\n        p: {Statement: []}\n", "pithos.yaml:7: keystore.users[0].policies.p: user a:b: policy p: Could not parse the policy: Statement is empty!"},
		{"no JSON", users + "    - {name: a, policies: {p: allow}}\n", "user a:a: policy p: Policies must be valid JSON"},
		{"empty policy", users + "    - {name: a, policies: {p: }}\n", "user a:a: policy p: it is empty"},
		{"policy name", users + "    - {name: a, policies: {a b: x}}\n", `user a:a: policy "a b": a policy name has 1 to 128`},
		{"long policy", users + "    - {name: a, policies: {p: [" + strings.Repeat("x", 7000) + "]}}\n", "exceeds the maximum allowed document size of 6144 bytes"},
		{"empty policy of a key", users + "    - {name: a, keys: [{access_key: abc, secret_key: 12345678, policy: }]}\n", "access key of user a:a: it is empty"},
		{"too many policies", users + "    - name: a\n      policies: {" + elevenPolicies() + "}\n", "user a:a has more than 10 policies"},
		{"group of nobody", users + "    - name: a\n  groups: [{name: g, account: b, policies: {}}]\n", "group g: no user has the account b"},
		{"group twice", users + "    - name: a\n  groups: [{name: g, account: a, policies: {}}, {name: g, account: a, policies: {}}]\n", "group g of account a is already defined at"},
		{"groups of another kind", "keystore: {groups: [{name: g, account: a, policies: {}}]}\n", "groups are read only with kind: file"},
		{"bad expiry", users + "    - {name: a, keys: [{access_key: abc, secret_key: 12345678, expires: never}]}\n", `"never" is not a time`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := config.Load(config.Sources{File: write(t, tc.yaml)})
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %s\nwant %s", err, tc.want)
			}
		})
	}
}

func elevenPolicies() string {
	var list []string
	for i := range 11 {
		list = append(list, fmt.Sprintf("p%d: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}", i))
	}
	return strings.Join(list, ", ")
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, err := config.Load(config.Sources{
		File:    write(t, "dta: x\ns3: {listen: y}\n"),
		Environ: []string{"PITHOS_LOG_LEVEL=loud"},
		Flags:   map[string]string{"gc.grace": "x"},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{":1: dta:", ":2: s3.listen:", "PITHOS_LOG_LEVEL: log.level:", "--gc-grace: gc.grace:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s misses %s", err, want)
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load(config.Sources{File: filepath.Join(t.TempDir(), "none.yaml")})
	if err == nil || !strings.Contains(err.Error(), "does not exist; give its path with --config") {
		t.Error(err)
	}
}

func TestUnknownVariablesAreNotedAndThoseOfKubernetesAreNot(t *testing.T) {
	c, err := config.Load(config.Sources{Environ: []string{
		"PITHOS_S3_LISTN=x", "PITHOS_SERVICE_HOST=10.0.0.1", "PITHOS_PORT_9000_TCP=tcp://10.0.0.1:9000", "PITHOS_PORT=tcp://10.0.0.1:9000", "PITHOS_CONFIG=x",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PITHOS_S3_LISTN: unknown variable; did you mean PITHOS_S3_LISTEN? It is ignored."}
	if diff := cmp.Diff(want, c.Notes); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsStayOutOfComplaintsAndOutput(t *testing.T) {
	const users = "keystore:\n  kind: file\n  users:\n"
	for _, text := range []string{
		users + "    - {name: a, access_key: abc, secret_key: \"canary in here\"}\n",
		users + "    - {name: a, access_key: abc, secret_key: canary1234, pasword: canary1234}\n",
		users + "    - {name: a, password: [canary1234]}\n",
		users + "    - {name: a, password: canary1234, secret_key: canary1234\n",
		users + "    - {name: a, secret_key: canary1234}\n    - name: a\n      password: *canary\n",
	} {
		_, err := config.Load(config.Sources{File: write(t, text)})
		if err == nil {
			t.Errorf("accepted: %s", text)
		} else if strings.Contains(err.Error(), "canary1") || strings.Contains(err.Error(), "canary in") {
			t.Errorf("%v", err)
		}
	}
	c, err := config.Load(config.Sources{File: write(t, users+"    - {name: a, access_key: abc, secret_key: canary1234, password: canary5678}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if out := string(c.YAML()); strings.Contains(out, "canary") || !strings.Contains(out, config.Hidden) {
		t.Error(out)
	}
}

func TestWrittenConfigurationReadsBackTheSame(t *testing.T) {
	text := "data: 'null'\ns3: {listen: ':9001', domains: [a.example, b.example]}\nquota: {bytes: 10GiB, objects: 5}\ngc: {grace: 90m}\nlog: {format: json, level: debug}\n"
	c, err := config.Load(config.Sources{File: write(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(config.Sources{File: write(t, string(c.YAML()))})
	if err != nil {
		t.Fatalf("%v\n%s", err, c.YAML())
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("%s\n%s", diff, c.YAML())
	}
}

func TestRegions(t *testing.T) {
	const stores = "s3: {region: south}\nmetastore: {kind: cassandra, hosts: [a]}\nblobstore: {kind: cassandra, hosts: [a]}\n"
	c, err := config.Load(config.Sources{File: write(t, stores+"region: eu-north\nregions:\n  eu-north: {metastore: {hosts: [a], home: dc2}}\n  west: {metastore: {kind: cassandra, hosts: [b], keyspace: pm}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, cl := range c.Clusters() {
		got = append(got, cl.Section()+" "+cl.Keyspace+" "+cl.Home)
	}
	want := []string{"metastore pithos_meta ", "regions.eu-north.metastore pithos_meta_eu_north dc2", "regions.west.metastore pm ", "blobstore pithos_blobs "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := config.Load(config.Sources{File: write(t, string(c.YAML()))})
	if err != nil {
		t.Fatalf("%v\n%s", err, c.YAML())
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("%s\n%s", diff, c.YAML())
	}
	for text, want := range map[string]string{
		stores + "region: west":                                                    "neither s3.region (south) nor below regions",
		stores + "regions: {south: {metastore: {hosts: [a]}}}":                     "is s3.region too",
		stores + "regions: {north: {}}":                                            "needs hosts",
		stores + "regions: {'no rth': {}}":                                         "is not a region name",
		stores + "regions: {north: {blobstore: {}}}":                               "unknown key",
		stores + "regions: {north: {metastore: {kind: embedded}}}":                 "cassandra",
		stores + "regions: {n: {metastore: {hosts: [a], keyspace: pithos_meta}}}":  "the keyspace of metastore too",
		"regions: {north: {metastore: {hosts: [a]}}}":                              "write kind: cassandra",
		stores + "regions: {a: {metastore: {hosts: [a], datacenter: x, home: y}}}": "leave datacenter out",
	} {
		if _, err := config.Load(config.Sources{File: write(t, text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAliasesAreFollowedAndBounded(t *testing.T) {
	c, err := config.Load(config.Sources{File: write(t, "s3: {region: &r eu}\ndata: *r\n")})
	if err != nil || c.Data != "eu" {
		t.Fatalf("%v", err)
	}
	many := strings.Repeat("*g,", 3000)
	bomb := "keystore:\n  kind: file\n  users:\n    - &u\n      name: a\n      groups: [&g x," + strings.TrimSuffix(many, ",") + "]\n" + strings.Repeat("    - *u\n", 3000)
	if _, err := config.Load(config.Sources{File: write(t, bomb)}); err == nil {
		t.Error("nine million values out of a small file are accepted")
	}
}

func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"", "data: x", "s3: {listen: ':9000', tls: {cert: a, key: b}}", "keystore: {kind: file, users: [{name: a, keys: [{access_key: abc, secret_key: 12345678}]}]}",
		"a: &a [*a]", "<<: {data: x}", "? [a]\n: b", "!!binary data: x", "metastore: {kind: cassandra, x: 1}", "log: {level: debug}\n---\nmore: 1",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "fuzz.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Sources{File: path})
		if err != nil || c.Keystore.Kind == config.File {
			return // what YAML writes of users hides their secrets
		}
		if err := os.WriteFile(path, c.YAML(), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := config.Load(config.Sources{File: path})
		if err != nil {
			t.Fatalf("%v\nwritten: %s", err, c.YAML())
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatalf("%s\nwritten: %s", diff, c.YAML())
		}
	})
}

func TestKeystone(t *testing.T) {
	good := map[string]string{"keystone.url": "https://keystone.example.org/identity/v3/", "keystone.username": "swift", "keystone.password_file": "x"}
	c, err := config.Load(config.Sources{Flags: good})
	if err != nil || c.Keystone.URL != "https://keystone.example.org/identity/v3" || c.Keystone.Cache != 5*time.Minute {
		t.Fatalf("%+v %v", c, err)
	}
	for name, change := range map[string][2]string{
		"no version": {"keystone.url", "https://keystone.example.org"}, "no user": {"keystone.username", ""}, "no password": {"keystone.password_file", ""},
		"no url": {"keystone.url", ""}, "users in a file": {"keystore.kind", "file"},
	} {
		flags := maps.Clone(good)
		if flags[change[0]] = change[1]; change[1] == "" {
			delete(flags, change[0])
		}
		if _, err := config.Load(config.Sources{Flags: flags}); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
