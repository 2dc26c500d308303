package memory

import (
	"maps"
	"slices"

	"pithos/internal/access"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// cloneVersion copies v in depth; nil stays nil.
func cloneVersion(v *object.Version) *object.Version {
	if v == nil {
		return nil
	}
	c := *v
	c.Summary = cloneSummary(v.Summary)
	c.Content = cloneContent(v.Content)
	c.Meta = make(map[object.Domain]map[string]string, len(v.Meta))
	for d, m := range v.Meta {
		c.Meta[d] = maps.Clone(m)
	}
	c.Parts = cloneParts(v.Parts)
	c.Encryption = slices.Clone(v.Encryption)
	c.ACL = cloneACL(v.ACL)
	c.Tags = slices.Clone(v.Tags)
	return &c
}

func cloneVersions(vs []*object.Version) []*object.Version {
	out := make([]*object.Version, len(vs))
	for i, v := range vs {
		out[i] = cloneVersion(v)
	}
	return out
}

func cloneSummary(s object.Summary) object.Summary {
	s.Checksums = slices.Clone(s.Checksums)
	s.Share = s.Share.Clone()
	return s
}

func cloneContent(c object.Content) object.Content {
	c.Map.Refs, c.Map.Kept = slices.Clone(c.Map.Refs), slices.Clone(c.Map.Kept)
	c.Document.Refs, c.Document.Kept = slices.Clone(c.Document.Refs), slices.Clone(c.Document.Kept)
	return c
}

func cloneParts(ps []object.Part) []object.Part {
	out := slices.Clone(ps)
	for i := range out {
		out[i].Checksums = slices.Clone(out[i].Checksums)
	}
	return out
}

func clonePart(p meta.Part) meta.Part {
	p.Checksums = slices.Clone(p.Checksums)
	p.Content = cloneContent(p.Content)
	return p
}

func cloneUpload(u meta.Upload) meta.Upload {
	u.Template = *cloneVersion(&u.Template)
	return u
}

func cloneCompletion(c meta.Completion) meta.Completion {
	c.Summary = cloneSummary(c.Summary)
	c.Parts = cloneParts(c.Parts)
	return c
}

func cloneACL(a access.ACL) access.ACL { return access.ACL{Grants: slices.Clone(a.Grants)} }

func cloneConfig(c bucket.Config) bucket.Config {
	c.ACL = cloneACL(c.ACL)
	c.Meta = maps.Clone(c.Meta)
	c.Documents = cloneDocuments(c.Documents)
	return c
}

func cloneDocuments(docs map[string][]byte) map[string][]byte {
	out := maps.Clone(docs)
	for name, d := range out {
		out[name] = slices.Clone(d)
	}
	return out
}

func cloneAccount(a key.Account) key.Account {
	a.Meta = maps.Clone(a.Meta)
	a.GroupPolicies = maps.Clone(a.GroupPolicies)
	for group, policies := range a.GroupPolicies {
		a.GroupPolicies[group] = cloneDocuments(policies)
	}
	return a
}

func cloneUser(u key.User) key.User {
	u.Roles, u.Groups = slices.Clone(u.Roles), slices.Clone(u.Groups)
	u.Policies = cloneDocuments(u.Policies)
	return u
}

func cloneKey(k key.Key) key.Key {
	k.Policy = slices.Clone(k.Policy)
	return k
}
