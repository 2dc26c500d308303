package swift

import (
	"context"
	"net/http"
	"strings"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/store/bucket"
)

// policy is a storage policy: how the objects of a container are kept. It is chosen when the container is made, and stays.
type policy struct {
	name      string
	blockSize int64 // of the container's objects; 0: the service's
}

// policies are the policies of the service, the default one first; never written.
//
//   - default: objects are cut into blocks of the service's size. Equal blocks are kept once, wherever they stand.
//   - large-blocks: into the largest blocks there are, which makes long lists of blocks short and finds fewer equal ones. It is for large objects that are
//     alike in nothing.
var policies = []policy{{name: backend.StoragePolicyDefault}, {name: "large-blocks", blockSize: block.SizeMax}}

// policyDocument names the document of a container that keeps its policy's name; without it the container has the default.
const policyDocument = backend.StoragePolicyDocument

// policyOf is the policy of a container.
func policyOf(c *bucket.Config) *policy {
	if name := string(c.Documents[policyDocument]); name != "" {
		for i := range policies {
			if policies[i].name == name {
				return &policies[i]
			}
		}
	}
	return &policies[0]
}

// policy reads the policy that a request asks for; nil when it asks for none. Error: 400 when there is none of that name.
func (c *call) policy() (*policy, error) {
	name := c.h("X-Storage-Policy")
	if name == "" {
		return nil, nil //nolint:nilnil // none was asked for
	}
	for i := range policies {
		if strings.EqualFold(policies[i].name, name) {
			return &policies[i], nil
		}
	}
	return nil, bad("Invalid X-Storage-Policy '" + clip(name) + "'")
}

// keep sets the policy of a container that is being made.
func (p *policy) keep(cfg *bucket.Config) {
	if p == nil || p == &policies[0] {
		return
	}
	cfg.Documents[policyDocument] = []byte(p.name)
	cfg.BlockSize = p.blockSize
}

// conflicts tells whether a container that is there has another policy than the one asked for.
func (p *policy) conflicts(cfg *bucket.Config) error {
	if p != nil && p != policyOf(cfg) {
		return refusal(http.StatusConflict, "")
	}
	return nil
}

// policySums are the counters of the policies beside the default one.
type policySums map[*policy]*struct{ containers, objects, bytes int64 }

// add counts a container.
func (s *policySums) add(ctx context.Context, c *call, found *bucket.Container) error {
	p := policyOf(&found.Config)
	if p == &policies[0] {
		return nil
	}
	usage, err := c.door.b.ContainerUsage(ctx, c.caller, refOf(found))
	if err != nil {
		if errs.Is(err, errs.NotFound) {
			return nil // it was deleted meanwhile
		}
		return err
	}
	if *s == nil {
		*s = policySums{}
	}
	if (*s)[p] == nil {
		(*s)[p] = &struct{ containers, objects, bytes int64 }{}
	}
	sum := (*s)[p]
	sum.containers++
	sum.objects += usage.Objects
	sum.bytes += usage.Bytes
	return nil
}

// show sets the headers of an account; what is not counted under another policy is the default's.
func (s *policySums) show(c *call, containers int, objects, bytes int64) {
	set := func(name string, containers, objects, bytes int64) {
		prefix := "X-Account-Storage-Policy-" + titleOf(name) + "-"
		c.setInt(prefix+"Container-Count", containers)
		c.setInt(prefix+"Object-Count", objects)
		c.setInt(prefix+"Bytes-Used", bytes)
	}
	rest := int64(containers)
	for p, sum := range *s {
		set(p.name, sum.containers, sum.objects, sum.bytes)
		rest, objects, bytes = rest-sum.containers, objects-sum.objects, bytes-sum.bytes
	}
	set(policies[0].name, rest, max(objects, 0), max(bytes, 0))
}

// titleOf is a policy's name as it stands in the headers of accounts.
func titleOf(name string) string {
	parts := strings.Split(name, "-")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}
