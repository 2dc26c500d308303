package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const docsPath = "../../docs/configuration.md"

// TestDocumentationIsCurrent compares docs/configuration.md with the table of settings.
func TestDocumentationIsCurrent(t *testing.T) {
	want := document()
	if *update {
		if err := os.WriteFile(docsPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run go test ./internal/config -update:\n%s", diff)
	}
}

// TestDocumentedExampleLoads loads the example of the documentation.
func TestDocumentedExampleLoads(t *testing.T) {
	path := t.TempDir() + "/pithos.yaml"
	for _, text := range []string{docsExample, docsPolicies, docsRegions} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Sources{File: path}); err != nil {
			t.Error(err)
		}
	}
}

const docsExample = `data: /var/lib/pithos
s3:
  listen: 0.0.0.0:9000
  region: eu-central-1
  domains: [s3.example.org]
keystore:
  kind: file
  users:
    - name: alice
      access_key: ALICE0EXAMPLE
      secret_key: change-this-secret
    - name: backup
      account: alice
      roles: []
      keys:
        - access_key: BACKUP0EXAMPLE
          secret_key: change-this-secret-too
          expires: 2030-01-01T00:00:00Z
quota:
  bytes: 100GiB
log:
  format: json
`

const docsPolicies = `keystore:
  kind: file
  groups:
    - name: readers
      account: acme
      policies:
        read: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["s3:Get*", "s3:List*"], Resource: "*"}]}
  users:
    - name: bob
      account: acme
      roles: []
      groups: [readers]
      policies:
        drop: |
          {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::drop/*"}]}
      keys:
        - access_key: BOB0EXAMPLE
          secret_key: change-this-secret
          policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}
`

const docsRegions = `s3: {region: eu-south}
metastore: {kind: cassandra, hosts: [10.1.0.1, 10.1.0.2], home: dc1, replication: "dc1:3,dc2:3"}
blobstore: {kind: cassandra, hosts: [10.1.0.1, 10.1.0.2], datacenter: dc1, replication: "dc1:3,dc2:3"}
regions:
  eu-north:
    metastore: {kind: cassandra, hosts: [10.2.0.1, 10.2.0.2], home: dc2, replication: "dc1:3,dc2:3"}
`

const docsHead = `# Configuration

<!-- Made from the table in internal/config by "go test ./internal/config -update"; edit it there. -->

Pithos needs no configuration: ` + "`pithos serve`" + ` keeps everything in ` + "`./pithos-data`" + ` and makes an administrator on its first start.

Every setting below can be given in three ways. A later one overrides an earlier one:

1. in a YAML file that ` + "`--config FILE`" + ` or ` + "`PITHOS_CONFIG`" + ` names;
2. as an environment variable, for example ` + "`PITHOS_S3_LISTEN=:9000`" + `; an empty variable counts as none;
3. as a flag of ` + "`pithos serve`" + `, for example ` + "`--s3-listen :9000`" + `.

Lists are lists in the file and are separated by commas elsewhere. Sizes are bytes, with a unit if you like: ` + "`512MiB`, `10GiB`, `1TB`" + `.
Durations look like ` + "`90s`, `15m`, `24h` or `7d`" + `.

Unknown keys and bad values stop the start, with the file and line of each and what to write instead. Try a file with
` + "`pithos config check --config FILE`" + `, and see what the sources come to with ` + "`pithos config print`" + ` (secrets are hidden).

`

// document is docs/configuration.md.
func document() []byte {
	var b bytes.Buffer
	b.WriteString(docsHead)
	b.WriteString("```yaml\n" + docsExample + "```\n\n## Settings\n\n")
	b.WriteString("| key | value | default | variable | flag | meaning |\n|---|---|---|---|---|---|\n")
	for _, s := range Settings() {
		def := "none"
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | `--%s` | %s |\n", s.Key, s.Kind, def, s.Variable, s.Flag, s.Doc)
	}
	b.WriteString("\n## Users in the file\n\nWith `keystore: {kind: file}` the users stand below `keystore.users`. They exist as soon as the server runs, and `pithos user` can\n" +
		"show but not change them. A change of the file is taken within 10 seconds (docs/operations/run.md). Keep such a file readable for the server alone: it holds secrets.\n\n| key | meaning |\n|---|---|\n")
	for _, f := range userFields() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f[0], strings.ReplaceAll(f[1], "|", "\\|"))
	}
	b.WriteString("\nPolicies (docs/api/policies.md) are written as text (JSON) or as keys and values; each has at most 6 KiB and is tested when the file is read. Those of groups stand below `keystore.groups`:\n\n| key | meaning |\n|---|---|\n")
	for _, f := range groupFields() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f[0], f[1])
	}
	b.WriteString("\n```yaml\n" + docsPolicies + "```\n")
	b.WriteString("\n## Stores\n\nAll stores are `{kind: embedded}` unless told otherwise: in the data directory. Each may be `{kind: cassandra, hosts: [...]}` with a cluster and keyspace of its own; a `metastore` on Cassandra wants its `blobstore` there too, since other gateways could not read the bytes in this one's data directory. `pithos schema install` makes the keyspaces. A keyspace of a blobstore belongs to the first metastore that it was used with; another one is refused. Several data centres: docs/operations/datacentres.md.\n")
	b.WriteString("\n## Regions\n\nBelow `regions` stands, for each region beside the default one (`s3.region`), the metastore of its containers: the settings of `metastore` with `kind: cassandra`, by default in the keyspace `pithos_meta_NAME`. The other stores are common to all regions. Only the file can name them.\n\n```yaml\n" + docsRegions + "```\n")
	return b.Bytes()
}
