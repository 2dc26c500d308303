package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is a row of the table: one thing that can be set by file, variable and flag.
type setting struct {
	key  string // in the file, with dots
	kind string // what values look like, for the documentation
	doc  string // one or two sentences
	list bool   // takes several values: a list in the file, commas elsewhere
	pair bool   // each of them has two parts: cert and key in the file, with a colon between elsewhere
	set  func(values []string) error
	get  func() []string
}

// Variable is the environment variable of a key.
func Variable(key string) string {
	return "PITHOS_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Flag is the flag of a key, without dashes in front.
func Flag(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }

// settings is the table, bound to the fields of c.
func (c *Config) settings() []setting {
	l, o := &c.Limits, &c.OpenStack
	return append([]setting{
		one("data", "directory", "Where everything is kept. Relative to the working directory. Made if missing, with mode 0700.", &c.Data, parseText("a directory"), showText),
		one("s3.listen", "address", "Address of the S3 API: `host:port`, `:port` for all interfaces, port 0 for any free port.", &c.S3.Listen, parseAddress, showText),
		one("s3.region", "name", "Region that clients sign for, and the name of the default region of buckets. What is signed for one below `regions` counts too.", &c.S3.Region, parseRegion, showText),
		many("s3.domains", "domains", "Domains for virtual-host addressing: with `s3.example.org`, a request to `NAME.s3.example.org` is for the bucket `NAME`. Path-style always works.", &c.S3.Domains, parseDomain),
		many("s3.external_urls", "URLs", "Addresses by which clients know the S3 API where proxies stand between, for example `https://s3.example.org` or, below a path, `https://example.org/storage`. Signatures over their hosts and paths are accepted, and a path is taken off requests that still have it.", &c.S3.External, parseExternal),
		many("proxies.trusted", "networks", "Addresses and networks of proxies whose `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `-Prefix` and `Forwarded` headers count. From others they mean nothing.", &c.Proxies.Trusted, parseNetwork),
		one("proxies.protocol", "`on` or `off`", "Whether trusted proxies may speak the PROXY protocol, version 1 or 2, to the S3 and OpenStack listeners.", &c.Proxies.Protocol, parseWord(On, Off), showText),
		one("s3.log_interval", "duration", "Longest time that records of access to a bucket wait before they are delivered into the bucket that it logs to. A stop in order delivers them all.", &c.S3.LogInterval, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("openstack.listen", "address or `off`", "Address of the OpenStack API: Swift, and sign-in at `/auth/v1.0` and `/identity/v3`. `off` serves none of it.", &c.OpenStack.Listen, parseAddressOrOff, showText),
		many("openstack.domains", "domains", "Domains whose hosts name accounts and containers: with `swift.example.org`, a request to `CONTAINER.AUTH-ACCOUNT.swift.example.org` is for that container.", &o.Domains, parseDomain),
		one("openstack.follow_cname", "`true` or `false`", "Whether a host that is an alias (CNAME) of a host below `openstack.domains` is taken for it.", &o.FollowCNAME, parseSwitch, strconv.FormatBool),
		many("openstack.cors_origins", "origins", "Origins whose scripts may use every container, beside those that a container's own metadata allows; `*` for all.", &o.CORSOrigins, parsePlain),
		many("openstack.cors_expose", "headers", "Headers that such scripts may see beside the usual ones.", &o.CORSExpose, parsePlain),
		one("openstack.quoted_etags", "`true` or `false`", "Whether Swift's ETags stand in quotes where neither container nor account say otherwise.", &o.QuotedETags, parseSwitch, strconv.FormatBool),
		one("openstack.read_only", "`true` or `false`", "Whether the OpenStack API refuses to change anything.", &o.ReadOnly, parseSwitch, strconv.FormatBool),
		one("openstack.disable_file", "file", "While this file exists, `/healthcheck` answers 503, so that a load balancer takes the service out.", &o.DisableFile, parseText("a file"), showText),
		one("openstack.external_url", "URL", "Address by which clients know the OpenStack listener, for example `https://storage.example.org`: for URLs in answers of the Pithos+ API and its catalogue. By default it is what each request says.", &o.ExternalURL, parseOrigin, showText),
		one("openstack.content_url", "URL", "Address of a host of its own for the public links and browser views of Pithos+, for example `https://files.example.org`, so that what users store never runs where people sign in. It leads to the same listener. Other hosts redirect to it.", &o.ContentURL, parseOrigin, showText),
		one("openstack.query_tokens", "`true` or `false`", "Whether the Pithos+ API takes tokens from the URL (`?X-Auth-Token=`), as its HTML forms and links need. They are never logged here, but proxies and browsers may keep URLs.", &o.QueryTokens, parseSwitch, strconv.FormatBool),
		one("openstack.listing_limit", "number", "Most entries of a listing of the Pithos+ API, and how many it has when the client sets no limit.", &o.Listing, parseNumber(1, 10_000), showNumber),
		one("openstack.reap_delay", "duration", "Time that expired objects can still be read and revived with `X-Open-Expired: true`; 0s refuses that. They stay that long whichever door they came by.", &o.ReapDelay, parseDuration(0, 365*24*time.Hour), showDuration),
		one("openstack.forbidden_characters", "characters", "Characters that no name in a request to the OpenStack API may have.", &o.Forbidden, parsePlain, showText),
		one("openstack.rates.account", "number", "Containers that may be made and deleted per second in one account; 0 is no bound. Who is faster waits, and after a minute gets 498.", &o.Rates.Account, parseNumber(0, 1_000_000), showNumber),
		one("openstack.rates.container", "number", "Objects that may be written and deleted per second in one container over the OpenStack API; 0 is no bound.", &o.Rates.Container, parseNumber(0, 1_000_000), showNumber),
		one("openstack.rates.listing", "number", "Listings per second of one container over the OpenStack API; 0 is no bound.", &o.Rates.Listing, parseNumber(0, 1_000_000), showNumber),
		one("admin.listen", "address", "Address of the admin API, `/metrics`, `/healthz`, `/readyz` and profiles. Keep it on a private network: metrics and health need no token.", &c.Admin.Listen, parseAddress, showText),
		one("keystore.kind", "`embedded`, `file` or `cassandra`", "`embedded` keeps users and keys in the data directory (`pithos user add`), `cassandra` on a cluster; `file` takes them from `keystore.users`.", &c.Keystore.Kind, parseWord(Embedded, File, Cassandra), showText),
		one("bucketstore.kind", "`embedded` or `cassandra`", "Engine that keeps buckets and containers.", &c.Buckets.Kind, parseWord(Embedded, Cassandra), showText),
		one("metastore.kind", "`embedded` or `cassandra`", "Engine that keeps objects' metadata.", &c.Meta.Kind, parseWord(Embedded, Cassandra), showText),
		one("blobstore.kind", "`embedded` or `cassandra`", "Engine that keeps objects' bytes. `cassandra` where `metastore.kind` is.", &c.Blobs.Kind, parseWord(Embedded, Cassandra), showText),
		one("limits.object_size", "size", "Largest object.", &l.ObjectSize, parseSize(1, 50<<40), showSize),
		one("limits.put_size", "size", "Largest single PUT or part.", &l.PutSize, parseSize(1, 50<<40), showSize),
		one("limits.part_min", "size", "Smallest part of a multipart upload, the last one excepted.", &l.PartMin, parseSize(1, 5<<30), showSize),
		one("limits.buffer_memory", "size", "Memory for data being received, over all uploads. Uploads wait for each other when it is used up.", &l.BufferMemory, parseSize(16<<20, 1<<40), showSize),
		one("limits.connections", "number", "Connections open at once, per listener. Further ones wait to be accepted.", &l.Connections, parseNumber(16, 1_000_000), showNumber),
		one("limits.header_bytes", "size", "Headers of a request, names and values together. S3 refuses more in its own words, the other APIs refuse twice as many with 431.", &l.HeaderBytes, parseSize(8<<10, 1<<20), showSize),
		one("limits.header_timeout", "duration", "Time to send a request's header.", &l.HeaderTimeout, parseDuration(time.Second, time.Hour), showDuration),
		one("limits.idle_timeout", "duration", "Time after which a connection without a request is closed.", &l.IdleTimeout, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("limits.body_timeout", "duration", "Time after which a client that neither sends nor takes data is cut off: that sends nothing of a body, or takes less than 64 KiB of an answer.", &l.BodyTimeout, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("limits.address_connections", "number", "Connections that one client address may have open at once, at each of the S3 and OpenStack listeners; 0 is no limit. Trusted proxies are not counted.", &l.Address.Connections, parseNumber(0, 1_000_000), showNumber),
		one("limits.address_requests", "number", "Requests of one client address that may be under way at once, over all APIs; 0 is no limit. Others are refused with `Retry-After`: 503 `SlowDown` of S3, 498 of Swift, 503 of Pithos+, 429 of the sign-in.", &l.Address.Requests, parseNumber(0, 1_000_000), showNumber),
		one("limits.address_rate", "number", "Requests per second of one client address; 0 is no limit. As many as come in two seconds may come at once.", &l.Address.Rate, parseNumber(0, 1_000_000), showNumber),
		one("limits.user_requests", "number", "Requests of one user that may be under way at once, over all APIs; 0 is no limit.", &l.User.Requests, parseNumber(0, 1_000_000), showNumber),
		one("limits.user_rate", "number", "Requests per second of one user; 0 is no limit.", &l.User.Rate, parseNumber(0, 1_000_000), showNumber),
		one("limits.user_bandwidth", "size", "Bytes per second that one user's requests may send and fetch together; they are slowed down, not refused. 0 is no limit.", &l.User.Bandwidth, parseSize(0, 1<<40), showSize),
		one("limits.upload_grace", "duration", "Time after which the data of a writer that vanished is given up. A multipart upload stays until it is completed or aborted.", &l.UploadGrace, parseDuration(time.Minute, 30*24*time.Hour), showDuration),
		one("limits.drain_timeout", "duration", "Time that running requests get after SIGTERM.", &l.DrainTimeout, parseDuration(0, time.Hour), showDuration),
		one("quota.bytes", "size", "Bytes for each account that has no quota of its own; 0 is no limit.", &c.Quota.Bytes, parseSize(0, 1<<60), showSize),
		one("quota.objects", "number", "Objects for each account that has no quota of its own; 0 is no limit.", &c.Quota.Objects, parseCount, showCount),
		one("encryption.keyring", "file", "Key ring of server-side encryption with keys of the service (SSE-S3). Without it, `keyring.json` in the data directory, made at the first start. Never lose it, and keep copies apart from the data: what it encrypted is lost with it.", &c.Encryption.Keyring, parseText("a file"), showText),
		one("encryption.kms.kind", "`none`, `file` or `vault`", "Key service of SSE-KMS: keys in a local file (`pithos keyring add --file`), or the transit engine of HashiCorp Vault or OpenBao.", &c.Encryption.KMS.Kind, parseWord(NoKMS, File, Vault), showText),
		one("encryption.kms.file", "file", "With `kind: file`: the keys.", &c.Encryption.KMS.File, parseText("a file"), showText),
		one("encryption.kms.default_key", "name", "Key for requests that ask for SSE-KMS and name none. Without it they are refused.", &c.Encryption.KMS.DefaultKey, parsePlain, showText),
		one("encryption.kms.vault.address", "URL", "With `kind: vault`: the server, for example `https://vault.example.org:8200`.", &c.Encryption.KMS.Vault.Address, parseURL, showText),
		one("encryption.kms.vault.mount", "path", "Where the transit engine is mounted.", &c.Encryption.KMS.Vault.Mount, parsePlain, showText),
		one("encryption.kms.vault.namespace", "name", "Namespace of the engine.", &c.Encryption.KMS.Vault.Namespace, parsePlain, showText),
		one("encryption.kms.vault.token_file", "file", "File with the token. It is read for each request, so that an agent may renew it.", &c.Encryption.KMS.Vault.TokenFile, parseText("a file"), showText),
		one("encryption.kms.vault.ca", "file", "Certificates in PEM that the server's certificate is checked against. Without it, those of the system.", &c.Encryption.KMS.Vault.CA, parseText("a file"), showText),
		one("gc.interval", "duration", "Pause between two rounds of the collector, which frees the space of deleted data.", &c.GC.Interval, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("gc.grace", "duration", "Age from which data that nothing names any more is removed. Readers of a replaced object finish in any case.", &c.GC.Grace, parseDuration(0, 30*24*time.Hour), showDuration),
		one("scrub.interval", "duration", "Pause between two rounds of reading every stored block in the background and comparing it with its hash; 0s for never. The first begins a while after the start.", &c.Scrub.Interval, parseDuration(0, 365*24*time.Hour), showDuration),
		one("scrub.rate", "size", "Bytes per second that this reading takes at most.", &c.Scrub.Rate, parseSize(64<<10, 1<<40), showSize),
		one("testing.lifecycle_day", "duration", "Length of a day in lifecycle rules. Only for tests: with less than 24h objects expire early, for good.", &c.Testing.LifecycleDay, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("testing.clock_ahead", "duration", "By how much the clock that stamps what is stored is fast. Only for tests.", &c.Testing.ClockAhead, parseDuration(0, 24*time.Hour), showDuration),
		one("testing.clock_behind", "duration", "By how much that clock is slow. Only for tests.", &c.Testing.ClockBehind, parseDuration(0, 24*time.Hour), showDuration),
		one("testing.sse_over_http", "`true` or `false`", "Take clients' encryption keys (SSE-C) over connections without TLS. Only for tests: anybody on the way can read them.", &c.Testing.SSEOverHTTP, parseBool, showBool),
		one("log.level", "`debug`, `info`, `warn` or `error`", "Least important lines to log. Requests are logged at `info`.", &c.Log.Level, parseLevel, showLevel),
		one("log.format", "`text` or `json`", "Form of the lines.", &c.Log.Format, parseWord(FormatText, FormatJSON), showText),
	}, slices.Concat(c.tlsSettings(), c.syncSettings(), c.keystoneSettings(), c.clusterSettings())...)
}

// syncSettings are the rows of Swift's container sync.
func (c *Config) syncSettings() []setting {
	s := &c.OpenStack.Sync
	return []setting{
		one("openstack.sync_realms", "file", "Realms of container sync, as Swift's `container-sync-realms.conf` has them: their keys, and the end-points of their clusters. It is read again when it changes. docs/operations/container-sync.md.", &s.Realms, parseText("a file"), showText),
		one("openstack.sync_cluster", "`//REALM/CLUSTER`", "Which of these clusters this service is, for `/info`.", &s.Cluster, parseCluster, showText),
		many("openstack.sync_hosts", "hosts", "Hosts that containers may be synchronised to by plain URL, without a realm: `HOST` for any port, or `HOST:PORT`. With any, requests that show a container's key in place of a signature are taken too.", &s.Hosts, parseSyncHost),
		one("openstack.sync_interval", "duration", "Time between two looks for changes to send in containers with `X-Container-Sync-To`.", &s.Interval, parseDuration(time.Second, 24*time.Hour), showDuration),
		one("openstack.sync_rate", "size", "Bytes per second that container sync sends at most.", &s.Rate, parseSize(1<<10, 1<<40), showSize),
		one("openstack.sync_ca", "file", "Certificates in PEM that other clusters' certificates are checked against. Without it, those of the system.", &s.CA, parseText("a file"), showText),
	}
}

// tlsSettings are the rows of listeners with TLS, and of the certificates that the server gets by itself.
func (c *Config) tlsSettings() []setting {
	var rows []setting
	for _, l := range c.listeners() {
		k, t := l.section+".tls.", l.tls
		rows = append(rows,
			one(k+"cert", "file", "Certificate chain in PEM for HTTPS. Needs `"+k+"key`. It is also the one for clients that name no host, or one that no certificate has. Renewed files are picked up within 10 seconds, or at SIGHUP.", &t.Cert, parseText("a file"), showText),
			one(k+"key", "file", "Private key in PEM, ECDSA, RSA or Ed25519. Needs `"+k+"cert`.", &t.Key, parseText("a file"), showText),
			pairs(k+"certificates", "Further certificates: a list of `cert` and `key` in the file, `CERT:KEY,CERT:KEY` elsewhere. Clients get the one for the host that they ask for, an exact name before a wildcard, an ECDSA key before RSA where they know it.", &t.Certificates),
			one(k+"acme", "`true` or `false`", "Whether the server gets certificates for `acme.domains` by itself, for this listener.", &t.ACME, parseSwitch, strconv.FormatBool),
			one(k+"min_version", "`1.2` or `1.3`", "Oldest version of TLS that is spoken. Of 1.2 only ciphers with forward secrecy and authentication.", &t.MinVersion, parseWord(TLS12, TLS13), showText),
			one(k+"client_ca", "file", "Certificates in PEM that clients' certificates are checked against. A renewed file is picked up.", &t.ClientCA, parseText("a file"), showText),
			one(k+"client_auth", "`none`, `request` or `require`", "`require`: who shows no certificate of `client_ca` gets no connection; `request`: who shows one must show a good one. It opens the door and signs nobody in; its subject stands in the log, and in policies as `pithos:ClientCertificate`.", &t.ClientAuth, parseWord(NoClientAuth, Request, Require), showText),
		)
	}
	a := &c.ACME
	return append(rows,
		one("acme.directory", "URL", "Certificate authority that speaks ACME (RFC 8555). Whoever turns `tls.acme` on agrees to its terms.", &a.Directory, parseURL, showText),
		one("acme.email", "e-mail address", "Contact that the authority writes to.", &a.Email, parsePlain, showText),
		many("acme.domains", "domains", "Names to get certificates for, one each. No wildcards: they would need changes in the DNS.", &a.Domains, parseDomain),
		one("acme.http_listen", "address or `off`", "Address that answers http-01, which the authority asks at port 80, for example `:80`. With `off` only tls-alpn-01 is answered, which it asks at port 443: a listener with `tls.acme` must be reached there.", &a.HTTPListen, parseAddressOrOff, showText),
		one("acme.ca", "file", "Certificates in PEM that the authority's own is checked against, for a private one. Without it, those of the system.", &a.CA, parseText("a file"), showText),
	)
}

// listener is a listener that can speak TLS.
type listener struct {
	section string
	tls     *TLS
}

func (c *Config) listeners() []listener {
	return []listener{{"s3", &c.S3.TLS}, {"openstack", &c.OpenStack.TLS}}
}

// keystoneSettings are the rows of the Identity service elsewhere.
func (c *Config) keystoneSettings() []setting {
	k := &c.Keystone
	return []setting{
		one("keystone.url", "URL", "Identity API v3 of a Keystone that runs elsewhere, for example `https://keystone.example.org:5000/v3`. The OpenStack API then takes its tokens, and signs nobody in itself.", &k.URL, parseIdentityURL, showText),
		one("keystone.public_url", "URL", "Address of that service that clients are told. Default: `keystone.url`.", &k.Public, parseURL, showText),
		one("keystone.username", "name", "User of that service as whom tokens are checked. It needs a role that may check tokens, such as `service` or `admin`.", &k.User, parsePlain, showText),
		one("keystone.password_file", "file", "File with the user's password. It is read each time that one is needed.", &k.PasswordFile, parseText("a file"), showText),
		one("keystone.user_domain", "name", "Name of the user's domain.", &k.UserDomain, parsePlain, showText),
		one("keystone.project", "name", "Name of the project that the user signs in to.", &k.Project, parsePlain, showText),
		one("keystone.project_domain", "name", "Name of the project's domain.", &k.ProjectDomain, parsePlain, showText),
		many("keystone.operator_roles", "roles", "Roles that may do everything in the account of their project.", &k.Operators, parsePlain),
		one("keystone.reseller_admin_role", "role", "Role that may do everything everywhere.", &k.Reseller, parsePlain, showText),
		one("keystone.cache", "duration", "How long the answer to a token is remembered: a token that was revoked is taken for so long.", &k.Cache, parseDuration(time.Second, time.Hour), showDuration),
		one("keystone.ca", "file", "Certificates in PEM that the service's certificate is checked against. Without it, those of the system.", &k.CA, parseText("a file"), showText),
	}
}

// clusterSettings are the rows of the stores of kind cassandra.
func (c *Config) clusterSettings() []setting {
	rows := []setting{
		one("region", "name", "Region in which new buckets and containers live whose maker names none: `s3.region`, or one below `regions` (docs/operations/datacentres.md). Default: `s3.region`.", &c.Region, parseRegionOrNone, showText),
	}
	for _, s := range c.stores() {
		rows = append(rows, storeSettings(s)...)
	}
	for _, r := range c.Regions {
		rows = append(rows, r.settings()...)
	}
	return rows
}

// datacenterDoc says what the data centre of a store is for.
func datacenterDoc(section string) string {
	if section == "keystore" || section == "bucketstore" {
		return "Data centre of the cluster whose hosts are asked. Without it, any. Beside `home`, the one whose copy answers look-ups while the home does not (docs/operations/datacentres.md)."
	}
	return "Data centre of the cluster whose hosts are asked. Without it, any."
}

// storeSettings are the rows of a cluster.
func storeSettings(s clusterOf) []setting {
	k, cl := s.section+".", s.cluster
	rows := []setting{
		many(k+"hosts", "hosts", "With `kind: cassandra`: contact points of the cluster of the "+s.section+".", &cl.Hosts, parseHost),
		one(k+"port", "number", "CQL port of the cluster.", &cl.Port, parseNumber(1, 65535), showNumber),
		one(k+"keyspace", "name", "Keyspace of the "+s.section+": lower-case letters, digits and `_`.", &cl.Keyspace, parseKeyspace, showText),
		one(k+"datacenter", "name", datacenterDoc(s.section), &cl.Datacenter, parsePlain, showText),
	}
	if s.section != "blobstore" { // blocks are the same everywhere
		rows = append(rows, one(k+"home", "name", "Data centre whose nodes decide and answer for this store, needed when the keyspace is replicated in several. All gateways, wherever they are, name the same and reach its hosts; it stays.", &cl.Home, parsePlain, showText))
	}
	return append(rows,
		one(k+"replication", "replication", "What `pithos schema install` makes the keyspace with: `DATACENTRE:REPLICAS`, several with commas, for example `dc1:3`. Without it one replica, which suits only trials.", &cl.Replication, parsePlain, showText),
		one(k+"username", "name", "Role to log in with. Without it, no login.", &cl.Username, parsePlain, showText),
		one(k+"password_file", "file", "File with the password.", &cl.PasswordFile, parseText("a file"), showText),
		one(k+"ca", "file", "Certificates in PEM that the cluster's certificate is checked against. Turns TLS on.", &cl.CA, parseText("a file"), showText),
	)
}

// one binds a row to a field that takes one value.
func one[T any](key, kind, doc string, field *T, parse func(string) (T, error), show func(T) string) setting {
	return setting{
		key: key, kind: kind, doc: doc,
		set: func(values []string) error {
			v, err := parse(values[0])
			if err == nil {
				*field = v
			}
			return err
		},
		get: func() []string { return []string{show(*field)} },
	}
}

// many binds a row to a field that takes a list.
func many(key, kind, doc string, field *[]string, parse func(string) (string, error)) setting {
	return setting{
		key: key, kind: kind, doc: doc, list: true,
		set: func(values []string) error {
			list := make([]string, 0, len(values))
			for _, text := range values {
				v, err := parse(text)
				if err != nil {
					return err
				}
				list = append(list, v)
			}
			*field = list
			return nil
		},
		get: func() []string { return *field },
	}
}

// pairs binds a row to a list of pairs of files.
func pairs(key, doc string, field *[]Pair) setting {
	return setting{
		key: key, kind: "pairs of files", doc: doc, list: true, pair: true,
		set: func(values []string) error {
			list := make([]Pair, 0, len(values))
			for _, text := range values {
				cert, private, ok := strings.Cut(text, ":")
				if !ok || cert == "" || private == "" || strings.Contains(private, ":") || strings.ContainsFunc(text, control) {
					return fmt.Errorf("%q is no pair of files; write CERT:KEY, or cert and key in the file", clip(text))
				}
				list = append(list, Pair{cert, private})
			}
			*field = list
			return nil
		},
		get: func() (list []string) {
			for _, p := range *field {
				list = append(list, p.Cert+":"+p.Key)
			}
			return list
		},
	}
}

// find is the row of a key.
func find(rows []setting, key string) (setting, bool) {
	for _, r := range rows {
		if r.key == key {
			return r, true
		}
	}
	return setting{}, false
}

func showText(s string) string { return s }

func showLevel(l slog.Level) string { return strings.ToLower(l.String()) }
