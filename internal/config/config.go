// Package config is everything that an operator can set: one typed struct, with
// defaults, read from a YAML file, the environment and flags, and checked once.
//
// Each setting is a row of one table (settings.go). From the row come the key
// in the file, the variable (PITHOS_S3_LISTEN for s3.listen), the flag
// (--s3-listen), the check, and the row in docs/configuration.md. A later source
// overrides an earlier one: defaults, file, environment, flags.
//
// Nothing here starts anything. A Config that Load returned is valid: no
// package behind it checks again.
package config

import (
	"log/slog"
	"path/filepath"
	"time"

	"pithos/internal/naming"
)

// Config is a valid configuration.
type Config struct {
	Data       string // the data directory
	S3         S3
	Proxies    Proxies
	OpenStack  OpenStack
	Keystone   Keystone
	Admin      Admin
	ACME       ACME
	Keystore   Keystore
	Buckets    Store
	Meta       Store
	Blobs      Store
	Limits     Limits
	Quota      Quota
	Encryption Encryption
	GC         GC
	Scrub      Scrub
	Testing    Testing
	Log        Log

	Region  string    // where new containers live whose maker names no region; "": S3.Region
	Regions []*Region // further ones

	// Notes are remarks for the operator about what was read, for example a variable that means nothing.
	Notes []string
}

// S3 is the S3 door.
type S3 struct {
	Listen  string
	Region  string
	Domains []string // virtual hosts: requests to NAME.DOMAIN are for the bucket NAME
	// LogInterval is the longest wait of a record of access for its delivery into a bucket.
	LogInterval time.Duration
	// External are the addresses by which clients know the service, as URLs without a slash at the end.
	External []string
	TLS      TLS
}

// Proxies are what may stand between clients and the service.
type Proxies struct {
	Trusted  []string // addresses and networks whose forwarding headers count
	Protocol string   // whether they may speak the PROXY protocol: On or Off
}

// Words of settings that are one or the other.
const (
	On  = "on"
	Off = "off"
)

// TLS says how a listener speaks TLS.
type TLS struct {
	Cert         string // both or none are set
	Key          string
	Certificates []Pair // further ones
	ACME         bool   // certificates for ACME.Domains too
	MinVersion   string // TLS12 or TLS13
	ClientCA     string // file with the certificates that clients' certificates are checked against
	ClientAuth   string // NoClientAuth, Request or Require
}

// Pair names the files of a certificate chain and its private key.
type Pair struct{ Cert, Key string }

// Versions of TLS that can be the oldest.
const (
	TLS12 = "1.2"
	TLS13 = "1.3"
)

// What is asked of clients' certificates.
const (
	NoClientAuth = "none"
	Request      = "request" // one that is shown must be good
	Require      = "require"
)

// On reports whether the listener speaks TLS.
func (t *TLS) On() bool { return len(t.Pairs()) > 0 || t.ACME }

// Pairs are all certificates that are files, the default one first.
func (t *TLS) Pairs() []Pair {
	if t.Cert == "" {
		return t.Certificates
	}
	return append([]Pair{{t.Cert, t.Key}}, t.Certificates...)
}

// ACME says where certificates come from that the server gets by itself (RFC 8555).
type ACME struct {
	Directory  string   // URL
	Email      string   // "": none
	Domains    []string // that certificates are got for
	HTTPListen string   // where http-01 is answered; Off: only tls-alpn-01 is
	CA         string   // file with the certificates that the directory's is checked against; "": the system's
}

// OpenStack is the listener of the OpenStack doors: identity and Swift.
type OpenStack struct {
	Listen string // Off: not served
	TLS    TLS

	Domains     []string // hosts below them name accounts and containers
	FollowCNAME bool     // hosts that are aliases of such hosts too
	CORSOrigins []string // allowed in every container
	CORSExpose  []string
	QuotedETags bool
	ReadOnly    bool
	DisableFile string        // while it exists, /healthcheck answers 503
	ReapDelay   time.Duration // how long expired objects can be asked for
	Forbidden   string        // characters that no name may have
	ExternalURL string        // how clients reach the Pithos+ API; "": as they say
	ContentURL  string        // how clients reach public links and views; "": as the rest
	QueryTokens bool          // tokens of the Pithos+ API may stand in the URL
	Listing     int           // entries of a listing of the Pithos+ API at most
	Rates       Rates
	Sync        Sync
}

// Sync is Swift's container sync.
type Sync struct {
	Realms   string   // file; "": there are none
	Cluster  string   // //REALM/CLUSTER that this service is; "": it does not say
	Hosts    []string // that containers may be sent to by plain URL
	Interval time.Duration
	Rate     int64  // bytes per second
	CA       string // file with the certificates to trust; "": the system's
}

// Keystone is an Identity service that runs elsewhere and whose tokens the OpenStack API takes.
type Keystone struct {
	URL           string // with the version; "": there is none, and the OpenStack API signs users in itself
	Public        string // for clients; "": URL
	User          string
	PasswordFile  string
	UserDomain    string
	Project       string
	ProjectDomain string
	Operators     []string // roles
	Reseller      string   // role
	Cache         time.Duration
	CA            string // file with the certificates to trust; "": the system's
}

// Rates bound requests of the Swift API; 0 is no bound.
type Rates struct {
	Account   int // containers made and deleted per second and account
	Container int // writes per second and container
	Listing   int // listings per second and container
}

// Admin is the listener of the admin API, metrics, health checks and profiles.
type Admin struct {
	Listen string
}

// Kinds of stores.
const (
	Embedded  = "embedded"
	File      = "file"
	Cassandra = "cassandra"
)

// cqlPort is the usual port of Cassandra.
const cqlPort = 9042

// Keystore says where users and keys are kept.
type Keystore struct {
	Kind    string  // Embedded, File or Cassandra
	Users   []User  // of File
	Groups  []Group // of File: groups that have policies
	Cluster Cluster // of Cassandra
}

// User is a user that the configuration file defines.
type User struct { //nolint:recvcheck // a value everywhere but where the file is read into it
	Name        string
	Account     naming.AccountID
	Password    string
	DisplayName string
	Canonical   string // of the account; "" when the file does not say
	Domain      string // Keystone domain of the account; "" when the file does not say
	Project     string // name of the account as a Keystone project; "" when the file does not say
	Email       string
	Roles       []string // nil: the file does not say; the user then is administrator of its account
	Groups      []string
	Keys        []Key
	Policies    map[string]string // by name, as written; JSON where the file has a mapping
}

// ID is the user's id.
func (u User) ID() naming.UserID { return naming.User(u.Account, u.Name) }

// Key is an access key that the configuration file defines.
type Key struct {
	AccessKey string
	Secret    string
	Expires   time.Time // zero: never
	Policy    string    // narrows what the key may do; "": all that its user may
}

// Group is a group of an account to which the configuration file attaches policies.
type Group struct {
	Account  naming.AccountID
	Name     string
	Policies map[string]string // as User has them
}

// Store says which engine keeps a store.
type Store struct {
	Kind    string
	Cluster Cluster // of Cassandra
}

// Cluster says where a store of kind Cassandra is and how to reach it.
type Cluster struct {
	Hosts        []string // contact points
	Port         int
	Keyspace     string
	Datacenter   string // the nearest; "": that of the host that answers
	Home         string // the one that decides and answers for the store; "": there is only one. Not of a blobstore
	Replication  string // for the installation of the keyspace, "dc1:3"; "": one replica
	Username     string // "": no login
	PasswordFile string
	CA           string // file with the certificates to trust; "": no TLS
}

// NamedCluster is a store of kind Cassandra by the name of its section.
type NamedCluster struct {
	Store  string // "keystore", "bucketstore", "metastore" or "blobstore"
	Region string // of a metastore; "": the default one
	Cluster
}

// Section is where the store stands in the file.
func (n *NamedCluster) Section() string {
	if n.Region != "" {
		return (&Region{Name: n.Region}).section()
	}
	return n.Store
}

// Clusters lists the stores of kind Cassandra, all metastores before the blobstore.
func (c *Config) Clusters() []NamedCluster {
	var list []NamedCluster
	for _, s := range c.stores() {
		if s.section == "blobstore" {
			for _, r := range c.Regions {
				list = append(list, NamedCluster{"metastore", r.Name, r.Meta.Cluster})
			}
		}
		if s.kind == Cassandra {
			list = append(list, NamedCluster{s.section, "", *s.cluster})
		}
	}
	return list
}

// clusterOf is the cluster of a store, whatever its kind.
type clusterOf struct {
	section, kind string
	cluster       *Cluster
}

// stores are the four stores.
func (c *Config) stores() []clusterOf {
	return []clusterOf{
		{"keystore", c.Keystore.Kind, &c.Keystore.Cluster},
		{"bucketstore", c.Buckets.Kind, &c.Buckets.Cluster},
		{"metastore", c.Meta.Kind, &c.Meta.Cluster},
		{"blobstore", c.Blobs.Kind, &c.Blobs.Cluster},
	}
}

// clusters are those of the four stores and of the regions.
func (c *Config) clusters() []clusterOf {
	list := c.stores()
	for _, r := range c.Regions {
		list = append(list, clusterOf{r.section(), r.Meta.Kind, &r.Meta.Cluster})
	}
	return list
}

// Limits bound what one request or the whole service may take.
type Limits struct {
	ObjectSize    int64         // largest object, bytes
	PutSize       int64         // largest single PUT or part, bytes
	PartMin       int64         // smallest part but the last, bytes
	BufferMemory  int64         // for blocks being received, over all uploads, bytes
	Connections   int           // open at once, per listener
	HeaderBytes   int64         // of a request
	HeaderTimeout time.Duration // to send a request's header
	IdleTimeout   time.Duration // a connection without a request
	BodyTimeout   time.Duration // a body, or a reader of an answer, that makes no progress
	Address       Share         // of one client address
	User          Share         // of one user
	UploadGrace   time.Duration // blocks of a writer that vanished
	DrainTimeout  time.Duration // for running requests after SIGTERM
}

// Share is what one client address or user may take; 0 is no limit.
type Share struct {
	Connections int   // open at once; of addresses only
	Rate        int   // requests per second
	Requests    int   // under way at once
	Bandwidth   int64 // bytes per second, both ways; of users only
}

// Quota holds for accounts that have none of their own; 0 is no limit.
type Quota struct {
	Bytes   int64
	Objects int64
}

// GC steers the collector that removes blocks which nothing names any more.
type GC struct {
	Interval time.Duration // between rounds
	Grace    time.Duration // age at which such a block is removed
}

// Encryption says where the keys for encrypted objects are.
type Encryption struct {
	Keyring string // file of the service's own keys; "": KeyringFile in the data directory
	KMS     KMS
}

// Kinds of key services.
const (
	NoKMS = "none"
	Vault = "vault"
)

// KMS is the key service for SSE-KMS.
type KMS struct {
	Kind       string // NoKMS, File or Vault
	File       string // of File: the keys
	DefaultKey string // for requests that name none; "": they must
	Vault      VaultKMS
}

// VaultKMS is a transit secrets engine of HashiCorp Vault or OpenBao.
type VaultKMS struct {
	Address   string // URL
	Mount     string // path of the engine
	Namespace string // "": none
	TokenFile string
	CA        string // file with the certificates to trust; "": the system's
}

// KeyringFile is the key ring in the data directory.
const KeyringFile = "keyring.json"

// KeyringPath is the file of the service's own keys.
func (c *Config) KeyringPath() string {
	if c.Encryption.Keyring != "" {
		return c.Encryption.Keyring
	}
	return filepath.Join(c.Data, KeyringFile)
}

// Testing has what only tests of the service set.
type Testing struct {
	LifecycleDay time.Duration // length of a day in lifecycle rules
	ClockAhead   time.Duration // by which the service's clock is wrong
	ClockBehind  time.Duration
	SSEOverHTTP  bool // take clients' keys over connections without TLS
}

// Scrub steers the background's reading of stored blocks, which finds damage before a client does.
type Scrub struct {
	Interval time.Duration // between two rounds; 0: never
	Rate     int64         // bytes per second
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// Formats of the log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Default is the configuration without file, variables and flags.
func Default() *Config {
	return &Config{
		Data:    "./pithos-data",
		S3:      S3{Listen: "127.0.0.1:9000", Region: "us-east-1", LogInterval: 5 * time.Minute, TLS: TLS{MinVersion: TLS12, ClientAuth: NoClientAuth}},
		Proxies: Proxies{Protocol: Off},
		Admin:   Admin{Listen: "127.0.0.1:9090"},

		OpenStack: OpenStack{
			Listen: "127.0.0.1:8080", TLS: TLS{MinVersion: TLS12, ClientAuth: NoClientAuth}, Sync: Sync{Interval: 15 * time.Second, Rate: 64 << 20},
			QueryTokens: true, Listing: 10_000,
		},
		ACME:     ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", HTTPListen: Off},
		Keystore: Keystore{Kind: Embedded, Cluster: Cluster{Port: cqlPort, Keyspace: "pithos_keys"}},
		Buckets:  Store{Kind: Embedded, Cluster: Cluster{Port: cqlPort, Keyspace: "pithos_buckets"}},
		Meta:     Store{Kind: Embedded, Cluster: Cluster{Port: cqlPort, Keyspace: "pithos_meta"}},
		Blobs:    Store{Kind: Embedded, Cluster: Cluster{Port: cqlPort, Keyspace: "pithos_blobs"}},
		Keystone: Keystone{
			UserDomain: "Default", Project: "service", ProjectDomain: "Default", Operators: []string{"admin", "swiftoperator"}, Reseller: "ResellerAdmin",
			Cache: 5 * time.Minute,
		},
		Limits: Limits{
			ObjectSize:    50 << 40,
			PutSize:       5 << 30,
			PartMin:       5 << 20,
			BufferMemory:  128 << 20,
			Connections:   10_000,
			HeaderBytes:   32 << 10,
			HeaderTimeout: 30 * time.Second,
			IdleTimeout:   3 * time.Minute,
			BodyTimeout:   time.Minute,
			UploadGrace:   24 * time.Hour,
			DrainTimeout:  25 * time.Second, // what is cut then has the rest of half a minute to end
		},
		Encryption: Encryption{KMS: KMS{Kind: NoKMS, Vault: VaultKMS{Mount: "transit"}}},
		GC:         GC{Interval: time.Minute, Grace: time.Minute},
		Scrub:      Scrub{Interval: 30 * 24 * time.Hour, Rate: 4 << 20},
		Testing:    Testing{LifecycleDay: 24 * time.Hour},
		Log:        Log{Level: slog.LevelInfo, Format: FormatText},
	}
}
