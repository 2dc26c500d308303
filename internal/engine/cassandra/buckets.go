package cassandra

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"pithos/internal/errs"
	"pithos/internal/guess"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Buckets is the bucketstore.
//
// Create writes in this order: index row (a hint), claim of the bucket name (LWT), container (LWT), and then settles the claim (LWT). A claim carries
// its time until it is settled. Others may take over a claim whose container does not exist, and do so under the condition that the claim is as they saw it:
// either they come first and it cannot be settled, or it is settled and cannot be taken. A settled claim without a container is what is
// left of one that was removed. A crash leaves at most a claim, or an index row, whose container does not exist.
//
// A container that is removed leaves its revision, and the next one of the name goes on from there: a node that hangs may run a transaction long after its client
// gave it up and had another node do it, and a container that was removed must not come back by it.
type Buckets struct {
	s     *Session
	clock interface{ Now() time.Time }
	// behind remembers what stood behind global names: a guess, with which the container is read beside the claim and not after it.
	behind guess.Map[naming.BucketName, claimant]
}

// claimSettles is how old a claim without a container must be before another account may take the name over: its writer has long failed by
// then. Nothing but fairness hangs on it.
const claimSettles = 10 * time.Minute

// settleWaits is how many times a container waits for another one of its account that took its claim over: some seconds at most.
const settleWaits = attempts / 2

// NewBuckets puts a bucketstore on a session whose schema was checked.
func NewBuckets(s *Session, clock interface{ Now() time.Time }) *Buckets {
	return &Buckets{s: s, clock: clock}
}

var _ bucket.Store = (*Buckets)(nil)

var (
	getBucket     = statement{cql: `SELECT account, container_name, container, claimed FROM %k.bucket WHERE name = ?`, class: pointRead, level: gocql.LocalQuorum}
	claimBucket   = statement{cql: `INSERT INTO %k.bucket (name, account, container_name, container, claimed) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
	takeBucket    = statement{cql: `UPDATE %k.bucket SET account = ?, container_name = ?, container = ?, claimed = ? WHERE name = ? IF container = ? AND claimed = ?`, class: casWrite, level: gocql.LocalQuorum}
	settleBucket  = statement{cql: `UPDATE %k.bucket SET claimed = null WHERE name = ? IF container = ?`, class: casWrite, level: gocql.LocalQuorum}
	releaseBucket = statement{cql: `DELETE FROM %k.bucket WHERE name = ? IF container = ?`, class: casWrite, level: gocql.LocalQuorum}

	getContainer    = statement{cql: `SELECT container, bucket, region, created, config, revision, writer FROM %k.container WHERE account = ? AND name = ?`, class: pointRead, level: gocql.LocalQuorum}
	addContainer    = statement{cql: `INSERT INTO %k.container (account, name, container, bucket, region, created, config, revision, writer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS`, class: casWrite, level: gocql.LocalQuorum}
	updateContainer = statement{cql: `UPDATE %k.container SET config = ?, revision = ?, writer = ? WHERE account = ? AND name = ? IF container = ? AND revision = ?`, class: casWrite, level: gocql.LocalQuorum}
	reuseContainer  = statement{cql: `UPDATE %k.container SET container = ?, bucket = ?, region = ?, created = ?, config = ?, revision = ?, writer = ? WHERE account = ? AND name = ? IF revision = ?`, class: casWrite, level: gocql.LocalQuorum}
	buryContainer   = statement{cql: `UPDATE %k.container SET container = null, bucket = null, region = null, created = null, config = null, revision = ?, writer = ? WHERE account = ? AND name = ? IF container = ? AND revision = ?`, class: casWrite, level: gocql.LocalQuorum}

	addListed    = statement{cql: `INSERT INTO %k.account_container (account, name, container) VALUES (?, ?, ?) USING TIMESTAMP 1`, class: plainWrite, level: gocql.LocalQuorum}
	removeListed = statement{cql: `DELETE FROM %k.account_container USING TIMESTAMP 2 WHERE account = ? AND name = ? AND container = ?`, class: plainWrite, level: gocql.LocalQuorum}
	listListed   = statement{cql: `SELECT name, container FROM %k.account_container WHERE account = ? AND name > ? LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
	listFurther  = statement{cql: `SELECT name, container FROM %k.account_container WHERE account = ? AND (name, container) > (?, ?) LIMIT ?`, class: sliceRead, level: gocql.LocalQuorum}
)

// row is a container as stored, with who wrote it last.
type containerRow struct {
	bucket.Container
	writer gocql.UUID
}

// container reads a container. Of one that was removed, found is false and its revision is there.
func (b *Buckets) container(ctx context.Context, level gocql.Consistency, account naming.AccountID, name naming.ContainerName) (containerRow, bool, error) {
	row := containerRow{Container: bucket.Container{Account: account, Name: name}}
	type columns struct {
		id, writer        gocql.UUID
		claimed, region   string
		created, revision int64
		config            []byte
	}
	c, found, err := sharedRow(ctx, b.s, getContainer, level, []any{string(account), string(name)}, func(c *columns) []any {
		return []any{&c.id, &c.claimed, &c.region, &c.created, &c.config, &c.revision, &c.writer}
	})
	if err != nil || !found {
		return row, false, err
	}
	row.ID, row.Bucket, row.Region, row.writer = naming.ContainerID(c.id), naming.BucketName(c.claimed), c.region, c.writer
	row.Created, row.Revision = time.UnixMicro(c.created).UTC(), bucket.Revision(c.revision)
	if row.ID == (naming.ContainerID{}) {
		return row, false, nil
	}
	if err := json.Unmarshal(c.config, &row.Config); err != nil {
		return row, false, errs.Wrap("cassandra.Buckets", errs.Corrupt, err)
	}
	return row, true, nil
}

// Create makes the container and claims its name; see bucket.Store.
func (b *Buckets) Create(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	const op = "cassandra.Buckets.Create"
	c.Created = c.Created.Truncate(time.Microsecond).UTC()
	before, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
	switch {
	case err != nil:
		return bucket.Container{}, fail(op, err)
	case found:
		return bucket.Container{}, errs.E(op, errs.Exists, errs.Container, string(c.Name))
	}
	if err := b.s.exec(ctx, addListed, string(c.Account), string(c.Name), gocql.UUID(c.ID)); err != nil {
		return bucket.Container{}, fail(op, err)
	}
	if err := b.claim(ctx, c); err != nil {
		_ = b.s.exec(ctx, removeListed, string(c.Account), string(c.Name), gocql.UUID(c.ID)) // a hint only
		return bucket.Container{}, err
	}
	added, err := b.add(ctx, &c, before)
	switch {
	case err != nil:
		return bucket.Container{}, fail(op, err)
	case !added:
		b.unclaim(ctx, c)
		return bucket.Container{}, errs.E(op, errs.Exists, errs.Container, string(c.Name))
	}
	settled, owner, err := b.settle(ctx, c)
	switch {
	case err != nil: // the container stands
		return bucket.Container{}, errs.Wrap(op, errs.Ambiguous, err)
	case settled:
		return c, nil
	}
	if _, err := b.remove(ctx, c); err != nil {
		return bucket.Container{}, errs.Wrap(op, errs.Ambiguous, err)
	}
	return bucket.Container{}, taken(op, c.Bucket, owner.account)
}

// settle makes the claim of a container that stands final. Another Create of the same container, which must fail since this one stands, may have taken the
// claim over meanwhile, or even given it up: then it is taken back. One of the account's other containers may have taken it over before this one stood: it looks for
// this one and gives the claim back, or has not seen it and settles; which of both is waited for, lest each gives way to the other and nobody has the name.
// settled is false when owner has the name.
func (b *Buckets) settle(ctx context.Context, c bucket.Container) (settled bool, owner claimant, err error) {
	if c.Bucket == "" {
		return true, claimant{}, nil
	}
	final := func() (bool, bool, error) {
		o, err := b.owner(ctx, c.Bucket)
		return o.container == c.ID && o.settled(), true, err
	}
	for n := range attempts {
		done, err := b.s.cas(ctx, settleBucket, gocql.Serial, []any{string(c.Bucket), gocql.UUID(c.ID)}, final)
		if err != nil || done {
			return done, claimant{}, err
		}
		if owner, err = b.owner(ctx, c.Bucket); err != nil {
			return false, owner, err
		}
		switch {
		case owner.container == naming.ContainerID{}:
			_, err = b.insert(ctx, c)
		case owner.account == c.Account && owner.name == c.Name && !owner.settled():
			_, err = b.take(ctx, c, owner)
		case owner.account == c.Account && !owner.settled() && n < settleWaits:
		default:
			return false, owner, nil
		}
		if err == nil {
			err = pause(ctx, n)
		}
		if err != nil {
			return false, owner, err
		}
	}
	return false, owner, errs.E("cassandra.Buckets.settle", errs.Busy, errs.Bucket, string(c.Bucket))
}

// mine tells for an unknown outcome whether the claim is c's.
func (b *Buckets) mine(ctx context.Context, c bucket.Container) func() (bool, bool, error) {
	return func() (bool, bool, error) {
		o, err := b.owner(ctx, c.Bucket)
		return o.container == c.ID, true, err
	}
}

// insert claims a name that nobody has.
func (b *Buckets) insert(ctx context.Context, c bucket.Container) (bool, error) {
	args := []any{string(c.Bucket), string(c.Account), string(c.Name), gocql.UUID(c.ID), b.clock.Now()}
	return b.s.cas(ctx, claimBucket, gocql.Serial, args, b.mine(ctx, c))
}

// take takes a claim over if it is still as it was seen.
func (b *Buckets) take(ctx context.Context, c bucket.Container, seen claimant) (bool, error) {
	args := []any{string(c.Account), string(c.Name), gocql.UUID(c.ID), b.clock.Now(), string(c.Bucket), gocql.UUID(seen.container), seen.claimed}
	return b.s.cas(ctx, takeBucket, gocql.Serial, args, b.mine(ctx, c))
}

// claim takes the bucket name for c.
func (b *Buckets) claim(ctx context.Context, c bucket.Container) error {
	const op = "cassandra.Buckets.claim"
	if c.Bucket == "" {
		return nil
	}
	claimed, err := b.insert(ctx, c)
	if err != nil || claimed {
		return fail(op, err)
	}
	present, err := b.owner(ctx, c.Bucket)
	if err != nil {
		return fail(op, err)
	}
	if present.container == (naming.ContainerID{}) { // it was given up just now
		return errs.E(op, errs.Busy, errs.Bucket, string(c.Bucket))
	}
	held, found, err := b.container(ctx, gocql.Serial, present.account, present.name)
	switch {
	case err != nil:
		return fail(op, err)
	case found && held.ID == present.container,
		!present.settled() && present.account != c.Account && b.clock.Now().Sub(*present.claimed) < claimSettles:
		return taken(op, c.Bucket, present.account)
	}
	claimed, err = b.take(ctx, c, present)
	switch {
	case err != nil:
		return fail(op, err)
	case !claimed:
		return taken(op, c.Bucket, present.account)
	}
	return b.lookAgain(ctx, c, present)
}

// lookAgain gives a claim that was taken over back if its container has been made meanwhile. One that is made later finds in settle that the claim is gone.
func (b *Buckets) lookAgain(ctx context.Context, c bucket.Container, before claimant) error {
	const op = "cassandra.Buckets.claim"
	held, found, err := b.container(ctx, gocql.Serial, before.account, before.name)
	if err != nil || !found || held.ID != before.container {
		return fail(op, err)
	}
	now, err := b.owner(ctx, c.Bucket)
	if err == nil && now.container == c.ID {
		_, err = b.take(ctx, held.Container, now)
	}
	if err != nil {
		return fail(op, err)
	}
	return taken(op, c.Bucket, before.account)
}

func (b *Buckets) unclaim(ctx context.Context, c bucket.Container) {
	if c.Bucket != "" {
		// If it fails, the claim stands without a container and is taken over by whoever comes next.
		_, _ = b.s.cas(ctx, releaseBucket, gocql.Serial, []any{string(c.Bucket), gocql.UUID(c.ID)}, func() (bool, bool, error) { return true, true, nil })
	}
	_ = b.s.exec(ctx, removeListed, string(c.Account), string(c.Name), gocql.UUID(c.ID))
}

// add makes the container, whose revision follows that of the one before. It is false when there is one.
func (b *Buckets) add(ctx context.Context, c *bucket.Container, before containerRow) (bool, error) {
	config, err := json.Marshal(c.Config)
	if err != nil {
		return false, err
	}
	mine := func() (bool, bool, error) {
		row, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
		return found && row.ID == c.ID, true, err
	}
	for range writesMost {
		c.Revision = before.Revision + 1
		st, args := addContainer, []any{
			string(c.Account), string(c.Name), gocql.UUID(c.ID), string(c.Bucket), c.Region, c.Created.UnixMicro(), config,
			int64(c.Revision), gocql.UUID(c.ID),
		}
		if before.Revision > 0 {
			st, args = reuseContainer, append(slices.Clone(args[2:]), args[0], args[1], int64(before.Revision))
		}
		added, err := b.s.cas(ctx, st, gocql.Serial, args, mine)
		if err != nil || added {
			return added, err
		}
		var found bool
		if before, found, err = b.container(ctx, gocql.Serial, c.Account, c.Name); err != nil || found {
			return false, err
		}
	}
	return false, errs.E("cassandra.Buckets.add", errs.Busy, errs.Container, string(c.Name))
}

// claimant is who has a bucket name.
type claimant struct {
	account   naming.AccountID
	name      naming.ContainerName
	container naming.ContainerID
	claimed   *time.Time // nil: the claim is settled
}

func (c claimant) settled() bool { return c.claimed == nil }

// owner reads a claim at serial consistency.
func (b *Buckets) owner(ctx context.Context, name naming.BucketName) (claimant, error) {
	return b.ownerAt(ctx, gocql.Serial, name)
}

func (b *Buckets) ownerAt(ctx context.Context, level gocql.Consistency, name naming.BucketName) (claimant, error) {
	type columns struct {
		account, container string
		id                 gocql.UUID
		claimed            *time.Time
	}
	c, _, err := sharedRow(ctx, b.s, getBucket, level, []any{string(name)}, func(c *columns) []any {
		return []any{&c.account, &c.container, &c.id, &c.claimed}
	})
	return claimant{account: naming.AccountID(c.account), name: naming.ContainerName(c.container), container: naming.ContainerID(c.id), claimed: c.claimed}, err
}

// Lookup finds a container; see bucket.Store.
func (b *Buckets) Lookup(ctx context.Context, account naming.AccountID, name naming.ContainerName) (bucket.Container, error) {
	const op = "cassandra.Buckets.Lookup"
	row, found, err := b.container(ctx, gocql.LocalQuorum, account, name)
	switch {
	case err != nil:
		return bucket.Container{}, fail(op, err)
	case !found:
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Container, string(name))
	}
	return row.Container, nil
}

// Resolve finds the container behind a global name; see bucket.Store.
func (b *Buckets) Resolve(ctx context.Context, name naming.BucketName) (bucket.Container, error) {
	const op = "cassandra.Buckets.Resolve"
	var o claimant
	var row containerRow
	found := false
	last, guessed := b.behind.Get(name)
	g, gctx := limited(ctx)
	g.Go(func() (err error) {
		o, err = b.ownerAt(gctx, gocql.LocalQuorum, name)
		return err
	})
	if guessed {
		g.Go(func() (err error) {
			row, found, err = b.container(gctx, gocql.LocalQuorum, last.account, last.name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return bucket.Container{}, fail(op, err)
	}
	if o.container == (naming.ContainerID{}) {
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Bucket, string(name))
	}
	if !guessed || last.account != o.account || last.name != o.name || !found || row.ID != o.container {
		b.behind.Put(name, o)
		var err error
		if row, found, err = b.container(ctx, gocql.LocalQuorum, o.account, o.name); err != nil {
			return bucket.Container{}, fail(op, err)
		}
	}
	if found && row.ID == o.container {
		return row.Container, nil
	}
	return bucket.Container{}, errs.E(op, errs.NotFound, errs.Bucket, string(name))
}

// Update replaces the configuration; see bucket.Store.
func (b *Buckets) Update(ctx context.Context, c bucket.Container) (bucket.Container, error) {
	const op = "cassandra.Buckets.Update"
	config, err := json.Marshal(c.Config)
	if err != nil {
		return bucket.Container{}, errs.Wrap(op, errs.Internal, err)
	}
	writer := gocql.MustRandomUUID()
	args := []any{config, int64(c.Revision) + 1, writer, string(c.Account), string(c.Name), gocql.UUID(c.ID), int64(c.Revision)}
	applied, err := b.s.cas(ctx, updateContainer, gocql.Serial, args, func() (bool, bool, error) {
		row, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
		if !found || row.ID != c.ID || err != nil {
			return false, err == nil, err
		}
		// A later writer hides whether ours came before it; only then is the outcome unknown.
		return row.writer == writer, row.writer == writer || row.Revision <= c.Revision, nil
	})
	if err != nil {
		return bucket.Container{}, fail(op, err)
	}
	row, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
	switch {
	case err != nil && applied:
		return bucket.Container{}, errs.Wrap(op, errs.Ambiguous, err)
	case err != nil:
		return bucket.Container{}, fail(op, err)
	case !found:
		return bucket.Container{}, errs.E(op, errs.NotFound, errs.Container, string(c.Name))
	case !applied:
		return bucket.Container{}, errs.E(op, errs.Conflict, errs.Container, string(c.Name))
	}
	stored := row.Container
	stored.Config, stored.Revision = c.Config, c.Revision+1
	return stored, nil
}

// Remove forgets the container and frees its name; see bucket.Store.
func (b *Buckets) Remove(ctx context.Context, c bucket.Container) error {
	const op = "cassandra.Buckets.Remove"
	row, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
	switch {
	case err != nil:
		return fail(op, err)
	case !found:
		return errs.E(op, errs.NotFound, errs.Container, string(c.Name))
	}
	c.Bucket = row.Bucket
	removed, err := b.remove(ctx, c)
	switch {
	case err != nil:
		return fail(op, err)
	case !removed:
		return errs.E(op, errs.Conflict, errs.Container, string(c.Name))
	}
	return nil
}

func (b *Buckets) remove(ctx context.Context, c bucket.Container) (bool, error) {
	removed, err := b.s.cas(ctx, buryContainer, gocql.Serial,
		[]any{int64(c.Revision) + 1, gocql.MustRandomUUID(), string(c.Account), string(c.Name), gocql.UUID(c.ID), int64(c.Revision)},
		func() (bool, bool, error) {
			row, found, err := b.container(ctx, gocql.Serial, c.Account, c.Name)
			return !found || row.ID != c.ID, true, err
		})
	if err != nil || !removed {
		return removed, err
	}
	b.unclaim(ctx, c)
	return true, nil
}

// Containers lists an account; see bucket.Store.
func (b *Buckets) Containers(ctx context.Context, account naming.AccountID, after naming.ContainerName, fn func(bucket.Container) bool) error {
	const op = "cassandra.Buckets.Containers"
	type listed struct {
		name string
		id   gocql.UUID
	}
	st, args := listListed, []any{string(account), string(after), listedAtOnce}
	for {
		var page []listed
		err := b.s.rows(ctx, st, args, listedAtOnce, func(it *gocql.Iter) bool {
			var l listed
			ok := it.Scan(&l.name, &l.id)
			if ok {
				page = append(page, l)
			}
			return ok
		})
		if err != nil {
			return fail(op, err)
		}
		for _, l := range page {
			row, found, err := b.container(ctx, gocql.LocalQuorum, account, naming.ContainerName(l.name))
			if err != nil {
				return fail(op, err)
			}
			if found && row.ID == naming.ContainerID(l.id) && !fn(row.Container) {
				return nil
			}
		}
		if len(page) < listedAtOnce {
			return nil
		}
		last := page[len(page)-1] // a name may stand there for several containers, of which one is
		st, args = listFurther, []any{string(account), last.name, last.id, listedAtOnce}
	}
}

// listedAtOnce is how many rows of an index are read at once.
const listedAtOnce = 200

// Close ends the session.
func (b *Buckets) Close() error {
	b.s.Close()
	return nil
}

// taken says who has a bucket name.
func taken(op string, name naming.BucketName, account naming.AccountID) error {
	return errs.E(op, errs.Exists, errs.Bucket, string(name)).With(&bucket.TakenError{Name: name, Account: account})
}
