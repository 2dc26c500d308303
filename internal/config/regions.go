package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Region is a place with a metastore of its own, beside the default one (S3.Region), which has the store of the section metastore.
type Region struct {
	Name string
	Meta Store // of kind Cassandra
}

const (
	regionsKey = "regions"
	regionsMax = 32
)

// section is where a region's metastore stands in the file.
func (r *Region) section() string { return regionsKey + "." + r.Name + ".metastore" }

// newRegion is a region with its defaults.
func newRegion(name string) *Region {
	keyspace := "pithos_meta_" + strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return &Region{name, Store{Kind: Cassandra, Cluster: Cluster{Port: cqlPort, Keyspace: keyspace[:min(len(keyspace), keyspaceMax)]}}}
}

// settings are the rows of a region, which there are only where the file names it.
func (r *Region) settings() []setting {
	kind := one(r.section()+".kind", "`cassandra`", "Engine that keeps the objects' metadata of the region.", &r.Meta.Kind, parseWord(Cassandra), showText)
	return append([]setting{kind}, storeSettings(clusterOf{section: r.section(), cluster: &r.Meta.Cluster})...)
}

// regions reads the regions and adds their rows to the table.
func (w *walker) regions(n *yaml.Node) {
	w.entries(n, regionsKey, func(name string, at, value *yaml.Node) {
		key := join(regionsKey, clip(name))
		if _, err := parseRegion(name); err != nil {
			w.bad(at, key, "%s", err)
			return
		}
		if len(w.c.Regions) == regionsMax {
			w.bad(at, key, "more than %d regions", regionsMax)
			return
		}
		r := newRegion(name)
		w.c.Regions = append(w.c.Regions, r)
		w.rows = append(w.rows, r.settings()...)
		w.origin[key] = w.at(at)
		w.section(value, key)
	})
}

// checkRegions asks for what regions need of each other and of the stores.
func (l *loader) checkRegions(c *Config) {
	if c.Region != "" && c.Region != c.S3.Region && !slices.ContainsFunc(c.Regions, func(r *Region) bool { return r.Name == c.Region }) {
		l.problem(l.where("region"), "region", "%q is neither s3.region (%s) nor below regions; write one of them", c.Region, c.S3.Region)
	}
	spaces := map[string]string{c.Meta.Cluster.Keyspace: "metastore", c.Blobs.Cluster.Keyspace: "blobstore"}
	for _, r := range c.Regions {
		where := l.where(join(regionsKey, r.Name))
		if r.Name == c.S3.Region {
			l.problem(where, join(regionsKey, r.Name), "the name is s3.region too, the default region, whose metastore stands in the section metastore; write another name, or another s3.region")
		}
		if c.Meta.Kind != Cassandra {
			l.problem(where, "metastore.kind", "%s, but there are regions: other gateways could not reach metadata that lie in this one's data directory; write kind: cassandra", c.Meta.Kind)
		}
		if other, ok := spaces[r.Meta.Cluster.Keyspace]; ok {
			l.problem(where, r.section()+".keyspace", "%s is the keyspace of %s too; give each a keyspace of its own", r.Meta.Cluster.Keyspace, other)
		}
		spaces[r.Meta.Cluster.Keyspace] = r.section()
	}
}
