package backend

import (
	"context"

	"pithos/internal/block"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

// Regions lists the names of the regions in which containers can live, the default one first.
func (b *Backend) Regions() []string {
	if b.regional != nil {
		return b.regional.Regions()
	}
	return []string{b.opts.Region}
}

// settle chooses the id and the region of a new container. A service without regions takes whatever a door lets through. Invalid, reason BadRegion, when there is none
// of that name.
func (b *Backend) settle(n *NewContainer) (naming.ContainerID, error) {
	if n.Region == "" {
		n.Region = b.opts.NewIn
	}
	if b.regional == nil {
		return naming.NewContainerID(), nil
	}
	return b.regional.NewContainer(n.Region)
}

// newHolder draws a holder for what is written into a container.
func (b *Backend) newHolder(id naming.ContainerID) block.Holder {
	if b.regional != nil {
		return b.regional.NewHolder(id)
	}
	return block.NewHolder()
}

// together reports whether a version in one container may share the holder of one in the other.
func (b *Backend) together(from, to naming.ContainerID) bool {
	return b.regional == nil || b.regional.Together(from, to)
}

// holdAnew lets w, who writes into another region, hold what the content of an object names. No data moves: the regions have their blocks in common.
func (b *Backend) holdAnew(ctx context.Context, w *writer, o *Object, c object.Content) (object.Content, error) {
	for _, m := range []*block.Map{&c.Map, &c.Document} {
		if len(m.Refs) == 0 || m.Kept != nil {
			continue
		}
		s := sharer{w: w, maps: mapBuilder{w: w}}
		err := s.share(ctx, b.walk(*m), 0, m.Size())
		if err == nil {
			*m, err = s.finish(ctx)
		}
		if err != nil {
			return c, b.vanished(ctx, o, err)
		}
	}
	c.Holder = w.holder
	return c, nil
}

// copyAcross publishes a copy whose source lives in another region.
func (b *Backend) copyAcross(ctx context.Context, o *Object, container bucket.Container, ch meta.Change) (*object.Version, error) {
	w := b.newWriter(container.Account, container.ID)
	content, err := b.holdAnew(ctx, w, o, ch.Version.Content)
	if err != nil {
		w.giveUp(ctx)
		if errs.Is(err, errs.NotFound) { // it was replaced meanwhile: copy what is there now
			err = errs.E("", errs.Conflict, errs.Version, string(o.Name)).With(err)
		}
		return nil, err
	}
	ch.Version.Content = content
	return b.publish(ctx, w, container, ch)
}
