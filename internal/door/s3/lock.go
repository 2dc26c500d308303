package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/errs"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// Longest default retentions (API Reference, DefaultRetention).
const (
	retentionDaysMax  = 36500
	retentionYearsMax = 100
)

const enabled = "Enabled"

// lockDocument is the body of PutObjectLockConfiguration.
type lockDocument struct {
	XMLName           xml.Name `xml:"ObjectLockConfiguration"`
	ObjectLockEnabled string
	Rule              *struct {
		DefaultRetention *struct {
			Mode  string
			Days  *int
			Years *int
		}
	}
}

// retention reads the default retention of the document; the zero one without a rule. Errors: MalformedXML, InvalidRetentionPeriod.
func (d *lockDocument) retention() (bucket.Retention, error) {
	var r bucket.Retention
	switch {
	case d.ObjectLockEnabled != enabled:
		return r, fail(MalformedXML, "")
	case d.Rule == nil:
		return r, nil
	case d.Rule.DefaultRetention == nil:
		return r, fail(MalformedXML, "")
	}
	def := d.Rule.DefaultRetention
	var ok bool
	if r.Mode, ok = parseMode(def.Mode); !ok || (def.Days == nil) == (def.Years == nil) {
		return r, fail(MalformedXML, "")
	}
	if def.Days != nil {
		r.Days = *def.Days
	} else {
		r.Years = *def.Years
	}
	switch {
	case r.Days < 0 || r.Years < 0 || r.Days+r.Years == 0:
		return r, fail(InvalidRetentionPeriod, "Default retention period must be a positive integer value.")
	case r.Days > retentionDaysMax || r.Years > retentionYearsMax:
		return r, fail(InvalidRetentionPeriod, "Default retention period too large.")
	}
	return r, nil
}

func parseMode(s string) (object.RetentionMode, bool) {
	switch s {
	case "GOVERNANCE":
		return object.Governance, true
	case "COMPLIANCE":
		return object.Compliance, true
	}
	return object.NoRetention, false
}

// modeName is the mode as S3 writes it.
func modeName(m object.RetentionMode) string {
	switch m {
	case object.Governance:
		return "GOVERNANCE"
	case object.Compliance:
		return "COMPLIANCE"
	case object.NoRetention:
	}
	return ""
}

// getObjectLockConfiguration serves GetObjectLockConfiguration.
func getObjectLockConfiguration(ctx context.Context, c *call) (*reply, error) {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action)
	if err != nil {
		return nil, err
	}
	if !container.Config.ObjectLock {
		return nil, fail(ObjectLockNotFound, "").with("BucketName", string(c.bucket))
	}
	x := newDocument("ObjectLockConfiguration")
	x.text("ObjectLockEnabled", enabled)
	if r := container.Config.Retention; r.Mode != object.NoRetention {
		x.open("Rule")
		x.open("DefaultRetention")
		x.text("Mode", modeName(r.Mode))
		if r.Days > 0 {
			x.int("Days", int64(r.Days))
		} else {
			x.int("Years", int64(r.Years))
		}
		x.close("DefaultRetention")
		x.close("Rule")
	}
	return x.reply(c, "ObjectLockConfiguration"), nil
}

// putObjectLockConfiguration serves PutObjectLockConfiguration. A bucket that keeps versions gets object lock with it if it has none yet.
func putObjectLockConfiguration(ctx context.Context, c *call) (*reply, error) {
	if c.door.o.AsSwift {
		return nil, fail(NotImplemented, "The requested resource is not implemented")
	}
	if _, err := c.door.b.Container(ctx, c.caller, c.ref(), c.row.action); err != nil {
		return nil, err
	}
	var doc lockDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	retention, err := doc.retention()
	if err != nil {
		return nil, err
	}
	_, err = c.door.b.Configure(ctx, c.caller, c.ref(), c.row.action, func(_ bucket.Container, config *bucket.Config) error {
		config.ObjectLock, config.Retention = true, retention
		return nil
	})
	if err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

// retentionDocument is the body of PutObjectRetention.
type retentionDocument struct {
	XMLName         xml.Name `xml:"Retention"`
	Mode            string
	RetainUntilDate string
}

// openLocked opens the version of the call in a bucket with object lock.
func (c *call) openLocked(ctx context.Context) (*backend.Object, error) {
	o, err := c.open(ctx, c.row.action)
	if err == nil && !o.Container.Config.ObjectLock {
		return nil, fail(InvalidRequest, "Bucket is missing Object Lock Configuration")
	}
	return o, err
}

// getObjectRetention serves GetObjectRetention.
func getObjectRetention(ctx context.Context, c *call) (*reply, error) {
	o, err := c.openLocked(ctx)
	if err != nil {
		return nil, err
	}
	if o.Retention.Mode == object.NoRetention {
		return nil, fail(NoSuchObjectLock, "")
	}
	x := newDocument("Retention")
	x.text("Mode", modeName(o.Retention.Mode))
	x.time("RetainUntilDate", o.Retention.Until)
	return x.reply(c, "Retention"), nil
}

// putObjectRetention serves PutObjectRetention. An empty document lifts the retention.
func putObjectRetention(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.openLocked(ctx); err != nil {
		return nil, err
	}
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	var doc retentionDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	var r object.Retention
	if doc.Mode != "" || doc.RetainUntilDate != "" {
		mode, ok := parseMode(doc.Mode)
		until, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(doc.RetainUntilDate))
		if !ok || err != nil {
			return nil, fail(MalformedXML, "")
		}
		r = object.Retention{Mode: mode, Until: until.UTC()}
	}
	if _, err := c.door.b.SetRetention(ctx, c.caller, t, r, c.bypass()); err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

// holdDocument is the body of PutObjectLegalHold.
type holdDocument struct {
	XMLName xml.Name `xml:"LegalHold"`
	Status  string
}

// holdName is a legal hold as S3 writes it.
func holdName(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

func parseHold(s string) (on, ok bool) { return s == "ON", s == "ON" || s == "OFF" }

// getObjectLegalHold serves GetObjectLegalHold. A version that never had a hold is OFF; AWS answers NoSuchObjectLockConfiguration until
// somebody sets it to either.
func getObjectLegalHold(ctx context.Context, c *call) (*reply, error) {
	o, err := c.openLocked(ctx)
	if err != nil {
		return nil, err
	}
	x := newDocument("LegalHold")
	x.text("Status", holdName(o.LegalHold))
	return x.reply(c, "LegalHold"), nil
}

// putObjectLegalHold serves PutObjectLegalHold.
func putObjectLegalHold(ctx context.Context, c *call) (*reply, error) {
	if _, err := c.openLocked(ctx); err != nil {
		return nil, err
	}
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	var doc holdDocument
	if err := c.xmlBody(&doc); err != nil {
		return nil, err
	}
	on, ok := parseHold(doc.Status)
	if !ok {
		return nil, fail(MalformedXML, "")
	}
	if _, err := c.door.b.SetLegalHold(ctx, c.caller, t, on); err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

// The headers of object lock.
const (
	lockModeHeader  = "X-Amz-Object-Lock-Mode"
	lockUntilHeader = "X-Amz-Object-Lock-Retain-Until-Date"
	lockHoldHeader  = "X-Amz-Object-Lock-Legal-Hold"
)

// headerLock reads the lock that a new object is to have. Mode and date come together.
func (c *call) headerLock() (r object.Retention, hold bool, err error) {
	mode, until := c.h(lockModeHeader), c.h(lockUntilHeader)
	if c.has(lockHoldHeader) {
		var ok bool
		if hold, ok = parseHold(c.h(lockHoldHeader)); !ok {
			return r, false, badArgument("x-amz-object-lock-legal-hold", c.h(lockHoldHeader), "Legal Hold must be either of 'ON' or 'OFF'")
		}
	}
	switch {
	case mode == "" && until == "":
		return r, hold, nil
	case mode == "" || until == "":
		return r, hold, fail(InvalidArgument, "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	var ok bool
	if r.Mode, ok = parseMode(mode); !ok {
		return r, hold, badArgument("x-amz-object-lock-mode", mode, "Unknown wormMode directive.")
	}
	at, bad := time.Parse(time.RFC3339Nano, until)
	if bad != nil {
		return r, hold, badArgument("x-amz-object-lock-retain-until-date", until, "The retain until date must be provided in ISO 8601 format")
	}
	r.Until = at.UTC()
	return r, hold, nil
}

// describeLock sets the headers that tell the lock of a version, each for whom may ask for it by itself (API Reference, HeadObject).
func (c *call) describeLock(ctx context.Context, o *backend.Object) error {
	v := o.Version
	if v.Retention.Mode != object.NoRetention {
		switch may, err := c.mayLearn(ctx, access.GetObjectRetention, o); {
		case err != nil:
			return err
		case may:
			c.set(lockModeHeader, modeName(v.Retention.Mode))
			c.set(lockUntilHeader, v.Retention.Until.UTC().Format(documentTime))
		}
	}
	if v.LegalHold {
		switch may, err := c.mayLearn(ctx, access.GetObjectLegalHold, o); {
		case err != nil:
			return err
		case may:
			c.set(lockHoldHeader, holdName(true))
		}
	}
	return nil
}

func (c *call) mayLearn(ctx context.Context, a access.Action, o *backend.Object) (bool, error) {
	err := c.door.b.Authorize(ctx, c.caller, a, o.Container, o.Version)
	if errs.Is(err, errs.Denied) {
		return false, nil
	}
	return err == nil, err
}
