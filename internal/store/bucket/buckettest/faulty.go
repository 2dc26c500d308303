package buckettest

import (
	"context"

	"pithos/internal/errs/errstest"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Faulty is a double of a bucketstore whose calls fail as Faults decides.
type Faulty struct {
	bucket.Store
	Faults *errstest.Faults
}

// write makes a call that gives a container.
func (s Faulty) write(op string, do func() (bucket.Container, error)) (c bucket.Container, err error) {
	err = s.Faults.Write(op, func() error {
		c, err = do()
		return err
	})
	if err != nil {
		return bucket.Container{}, err
	}
	return c, nil
}

// read makes a call that gives a container.
func (s Faulty) read(op string, do func() (bucket.Container, error)) (c bucket.Container, err error) {
	err = s.Faults.Read(op, func() error {
		c, err = do()
		return err
	})
	return c, err
}

// Create may fail before or after.
func (s Faulty) Create(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	return s.write("Create", func() (bucket.Container, error) { return s.Store.Create(ctx, c) })
}

// Lookup may fail.
func (s Faulty) Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (bucket.Container, error) {
	return s.read("Lookup", func() (bucket.Container, error) { return s.Store.Lookup(ctx, account, name) })
}

// Resolve may fail.
func (s Faulty) Resolve(ctx context.Context, name naming.BucketName) (bucket.Container, error) {
	return s.read("Resolve", func() (bucket.Container, error) { return s.Store.Resolve(ctx, name) })
}

// Update may fail before or after.
func (s Faulty) Update(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	return s.write("Update", func() (bucket.Container, error) { return s.Store.Update(ctx, c) })
}

// Remove may fail before or after.
func (s Faulty) Remove(ctx context.Context, c bucket.Container) error {
	return s.Faults.Write("Remove", func() error { return s.Store.Remove(ctx, c) })
}

// Containers may fail.
func (s Faulty) Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	return s.Faults.Read("Containers", func() error { return s.Store.Containers(ctx, account, after, fn) })
}
