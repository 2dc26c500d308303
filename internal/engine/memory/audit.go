package memory

import (
	"bytes"
	"context"
	"slices"

	"pithos/internal/block"
	"pithos/internal/naming"
	"pithos/internal/store/meta"
)

var _ meta.Auditor = (*Meta)(nil)

// AuditBodies implements meta.Auditor. A place is a container's id and a name.
func (s *Meta) AuditBodies(_ context.Context, from string, limit int64, found func(meta.BodyAudit) error) (next string, read int64, err error) {
	var list []meta.BodyAudit
	start := from
	err = s.do("memory.Meta.AuditBodies", func() error {
		var ids []naming.ContainerID
		for id := range s.containers {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(a, b naming.ContainerID) int { return bytes.Compare(a[:], b[:]) })
		for _, id := range ids {
			c := s.containers[id]
			for _, name := range c.names {
				place := string(id[:]) + string(name)
				if place <= from {
					continue
				}
				if read >= limit {
					next = from
					return nil
				}
				for _, v := range c.objects[name] {
					read += auditCost
					if v.Content.Keeps() {
						body := v.Content.Map.Kept
						read += int64(len(body))
						list = append(list, meta.BodyAudit{
							Container: id, Name: name, ID: v.ID, Bytes: int64(len(body)), Damaged: block.Sum(body) != v.Content.Map.Refs[0].ID,
						})
					}
				}
				from = place
			}
		}
		return nil
	})
	for _, a := range list {
		if err == nil {
			err = found(a)
		}
	}
	if err != nil {
		next = start
	}
	return next, read, err
}

// auditCost is what looking at a version counts, in bytes.
const auditCost = 64
