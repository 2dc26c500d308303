package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// Bounds of records that wait for their delivery.
const (
	recordsBatch  = 4 << 20          // bytes of one object
	recordsMemory = 32 << 20         // bytes that wait, over all buckets; what comes on top is dropped and counted
	recordMax     = 16 << 10         // bytes of one record
	targetsMax    = 10_000           // buckets whose settings are remembered
	targetsFresh  = 10 * time.Second // how long, so that a change made at another gateway counts soon
)

// AccessLogging is what an access log works on.
type AccessLogging struct {
	Backend  *backend.Backend
	Clock    clock.Clock
	Log      *slog.Logger
	Interval time.Duration // longest wait of a record for its delivery
}

// AccessLog collects records of access to buckets and delivers them, many in one object, into the buckets that are to keep them (S3 User Guide, "Logging
// requests with server access logging"). Delivery is best effort, as at AWS: records that wait are lost when the process is killed, and not when it
// is stopped in order; memory for them is bounded.
//
// It writes as the service itself, so neither lists nor policies of the target stop it; a quota does.
type AccessLog struct {
	AccessLogging

	mu      sync.Mutex
	targets map[naming.BucketName]target
	batches map[batchID]*batch
	waiting int64 // bytes
	full    bool  // a batch has the size of an object: deliver before the interval ends
	total   AccessLogReport
	wake    chan struct{}
}

// AccessLogReport counts what an access log did.
type AccessLogReport struct {
	Records int64 `json:"records"` // delivered
	Objects int64 `json:"objects"` // that hold them
	Dropped int64 `json:"dropped"` // records for which there was no room, or whose target is gone
}

// target is where the records of a bucket go; zero on: nowhere.
type target struct {
	on      bool
	checked time.Time
	owner   string // canonical id of the bucket's owner
	account naming.AccountID
	region  string
	to      bucket.Logging
}

// batchID tells which records may stand in one object.
type batchID struct {
	source naming.BucketName
	target naming.BucketName
	prefix string
	day    string // of the records, where names go by it
}

type batch struct {
	at    target
	text  bytes.Buffer
	count int64
}

// NewAccessLog makes an access log.
func NewAccessLog(a AccessLogging) *AccessLog {
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	return &AccessLog{AccessLogging: a, targets: map[naming.BucketName]target{}, batches: map[batchID]*batch{}, wake: make(chan struct{}, 1)}
}

// Name is "access-log".
func (*AccessLog) Name() string { return "access-log" }

// Total is what was done since the start.
func (l *AccessLog) Total() AccessLogReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Wants reports whether access to a bucket is to be recorded, and the canonical id of its owner.
func (l *AccessLog) Wants(ctx context.Context, name naming.BucketName) (owner string, ok bool) {
	t := l.target(ctx, name)
	return t.owner, t.on
}

// Changed forgets what is known of a bucket's settings.
func (l *AccessLog) Changed(name naming.BucketName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.targets, name)
}

// Add takes a record, a line without its end, of access to a bucket at a time.
func (l *AccessLog) Add(ctx context.Context, name naming.BucketName, at time.Time, line string) {
	t := l.target(ctx, name)
	if !t.on {
		return
	}
	id := batchID{source: name, target: t.to.Target, prefix: t.to.Prefix}
	if t.to.Partition == bucket.PartitionByEvent {
		id.day = at.UTC().Format(time.DateOnly)
	}
	line = strings.Map(printable, line[:min(len(line), recordMax)])
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting+int64(len(line)) > recordsMemory {
		l.total.Dropped++
		return
	}
	b := l.batches[id]
	if b == nil {
		b = &batch{}
		l.batches[id] = b
	}
	b.at = t
	b.text.WriteString(line)
	b.text.WriteByte('\n')
	b.count++
	l.waiting += int64(len(line)) + 1
	if b.text.Len() >= recordsBatch && !l.full {
		l.full = true
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// printable keeps a record on its line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

// target tells where the records of a bucket go. A bucket whose settings cannot be read is taken for one without.
func (l *AccessLog) target(ctx context.Context, name naming.BucketName) target {
	now := l.Clock.Now()
	l.mu.Lock()
	t, ok := l.targets[name]
	l.mu.Unlock()
	if ok && now.Sub(t.checked) < targetsFresh && !now.Before(t.checked) {
		return t
	}
	fresh, err := l.look(ctx, name)
	if err != nil && !errs.Is(err, errs.NotFound) {
		l.Log.WarnContext(ctx, "where records of access go is not known", "bucket", name, "error", err)
		fresh = t
	}
	fresh.checked = now
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.targets) >= targetsMax {
		clear(l.targets)
	}
	l.targets[name] = fresh
	return fresh
}

func (l *AccessLog) look(ctx context.Context, name naming.BucketName) (target, error) {
	c, err := l.Backend.Found(ctx, backend.Ref{Bucket: name})
	if err != nil || len(c.Config.Documents[bucket.LoggingDocument]) == 0 {
		return target{}, err
	}
	to, err := bucket.DecodeLogging(c.Config.Documents[bucket.LoggingDocument])
	if err != nil {
		return target{}, err
	}
	a, err := l.Backend.Account(ctx, c.Account)
	if err != nil {
		return target{}, err
	}
	return target{on: true, owner: a.Canonical, account: c.Account, region: c.Region, to: to}, nil
}

// Step delivers what waits, when the interval is over or a batch has the size of an object.
func (l *AccessLog) Step(ctx context.Context) (time.Duration, error) {
	wait, cancel := context.WithTimeout(ctx, l.Interval)
	defer cancel()
	select {
	case <-wait.Done():
	case <-l.wake:
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return 0, l.Flush(ctx)
}

// Flush delivers all that waits. What could not be delivered goes on waiting.
func (l *AccessLog) Flush(ctx context.Context) error {
	l.mu.Lock()
	batches := l.batches
	l.batches, l.full = map[batchID]*batch{}, false
	l.mu.Unlock()
	var first error
	for id, b := range batches {
		err := l.deliver(ctx, id, b)
		if err != nil && first == nil {
			first = err
		}
		l.settle(ctx, id, b, err)
	}
	return failed("worker.AccessLog.Flush", first)
}

// settle counts what was delivered, and puts back what was not, unless it never can be.
func (l *AccessLog) settle(ctx context.Context, id batchID, b *batch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.total.Records += b.count
		l.total.Objects++
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Denied), errs.Is(err, errs.Invalid):
		l.total.Dropped += b.count
		l.Log.WarnContext(ctx, "records of access cannot be delivered", "bucket", id.source, "target", id.target, "records", b.count, "error", err)
	default:
		if newer := l.batches[id]; newer != nil {
			b.text.Write(newer.text.Bytes())
			b.count += newer.count
		}
		l.batches[id] = b
		return
	}
	l.waiting -= int64(b.text.Len())
}

// deliver writes a batch as one object.
func (l *AccessLog) deliver(ctx context.Context, id batchID, b *batch) error {
	to := backend.Ref{Bucket: id.target}
	c, err := l.Backend.Found(ctx, to)
	if err != nil {
		return err
	}
	if c.Account != b.at.account {
		return errs.E("", errs.Denied, errs.Bucket, string(id.target)).Because("", "the target belongs to another account")
	}
	attributes := backend.Attributes{ContentType: "text/plain", StorageClass: "STANDARD", Owner: c.Account}
	if c.Config.Ownership != bucket.BucketOwnerEnforced && len(b.at.to.Grants) > 0 {
		full := access.Grant{Canonical: b.at.owner, Permission: access.FullControl}
		attributes.ACL = access.ACL{Grants: append([]access.Grant{full}, b.at.to.Grants...)}
	}
	text := slices.Clone(b.text.Bytes())
	_, err = l.Backend.Put(ctx, backend.Caller{Principal: access.Principal{Operator: true}}, backend.PutRequest{
		Container: to, Name: l.name(id, b), Attributes: attributes, If: object.Precondition{IfNoneMatch: []string{"*"}},
		Body: backend.Body{Reader: bytes.NewReader(text), Size: int64(len(text))},
	})
	return err
}

// name is that of an object with records.
func (l *AccessLog) name(id batchID, b *batch) naming.ObjectName {
	const stamp = "2006-01-02-15-04-05"
	var unique [8]byte
	_, _ = rand.Read(unique[:]) // crypto/rand.Read never fails (Go 1.24)
	now := l.Clock.Now().UTC()
	end := "-" + strings.ToUpper(hex.EncodeToString(unique[:]))
	folder := id.prefix + string(b.at.account) + "/" + b.at.region + "/" + string(id.source) + "/"
	switch b.at.to.Partition {
	case bucket.PartitionByEvent:
		// With the time of the event, hours and less are zero (S3 User Guide, "Log object key format").
		return naming.ObjectName(folder + strings.ReplaceAll(id.day, "-", "/") + "/" + id.day + "-00-00-00" + end)
	case bucket.PartitionByDelivery:
		return naming.ObjectName(folder + now.Format("2006/01/02/") + now.Format(stamp) + end)
	case bucket.NoPartition:
	}
	return naming.ObjectName(id.prefix + now.Format(stamp) + end)
}
