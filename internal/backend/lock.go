package backend

import (
	"context"
	"time"

	"pithos/internal/access"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/bucket"
)

// Object lock: versions that nobody may remove for a time, or until a legal hold is lifted. That a locked version is not removed is decided in
// meta.Plan, for every way in; here is who may set and loosen a lock. All of it compares a fixed date with the clock, so a clock that steps
// backwards only makes locks last longer.

// SetRetention changes the retention of a version. The zero Retention lifts it. bypass loosens a governance retention, for who has that
// permission; a compliance retention that has not ended can only be made longer, by nobody otherwise.
//
// Errors: those of Open; Denied (reason Locked); Invalid/BadState when the container has no object lock; Invalid when the date is not in the future.
func (b *Backend) SetRetention(ctx context.Context, c Caller, t Target, next object.Retention, bypass bool) (*object.Version, error) {
	const op = "backend.SetRetention"
	if bypass {
		container, err := b.find(ctx, t.Container)
		if err != nil {
			return nil, fail(op, err)
		}
		if err := b.mayTo(ctx, c, access.BypassGovernanceRetention, container, t, deed{retention: &next}); err != nil {
			return nil, fail(op, err)
		}
	}
	now := b.now()
	v, err := b.amend(ctx, c, t, access.PutObjectRetention, deed{retention: &next}, func(container bucket.Container, v *object.Version) error {
		if err := lockable(container, v.Name); err != nil {
			return err
		}
		if err := checkRetention(v.Name, next, now); err != nil {
			return err
		}
		if loosens(v.Retention, next, now, bypass) {
			return errs.E("", errs.Denied, errs.Version, string(v.Name)).Because(errs.Locked, "the retention of the version cannot be loosened")
		}
		v.Retention = next
		return nil
	})
	return v, fail(op, err)
}

// SetLegalHold sets or lifts the legal hold of a version. Errors: those of Open; Invalid/BadState when the container has no object lock.
func (b *Backend) SetLegalHold(ctx context.Context, c Caller, t Target, on bool) (*object.Version, error) {
	v, err := b.amend(ctx, c, t, access.PutObjectLegalHold, deed{legalHold: on}, func(container bucket.Container, v *object.Version) error {
		v.LegalHold = on
		return lockable(container, v.Name)
	})
	return v, fail("backend.SetLegalHold", err)
}

// loosens reports whether next would let go of a version earlier than before, or otherwise than before, without the right to.
func loosens(before, next object.Retention, now time.Time, bypass bool) bool {
	if before.Mode == object.NoRetention || !before.Until.After(now) {
		return false
	}
	if next.Mode == before.Mode && !next.Until.Before(before.Until) {
		return false
	}
	return before.Mode == object.Compliance || !bypass
}

// lockable refuses locks where the container has none.
func lockable(container bucket.Container, name naming.ObjectName) error {
	if container.Config.ObjectLock {
		return nil
	}
	return errs.E("", errs.Invalid, errs.Object, string(name)).Because(errs.BadState, "Bucket is missing Object Lock Configuration")
}

func checkRetention(name naming.ObjectName, r object.Retention, now time.Time) error {
	if r.Mode != object.NoRetention && !r.Until.After(now) {
		return errs.E("", errs.Invalid, errs.Object, string(name)).Because("", "The retain until date must be in the future!")
	}
	return nil
}

// checkLock tests the lock that a writer asks for.
func (b *Backend) checkLock(container bucket.Container, name naming.ObjectName, a *Attributes) error {
	if a.Retention.Mode == object.NoRetention && !a.LegalHold {
		return nil
	}
	if err := lockable(container, name); err != nil {
		return err
	}
	return checkRetention(name, a.Retention, b.now())
}

// retain is the container's default retention, for meta.Change.Retain.
func retain(container bucket.Container) func(time.Time) object.Retention {
	d := container.Config.Retention
	if !container.Config.ObjectLock || d.Mode == object.NoRetention {
		return nil
	}
	return func(made time.Time) object.Retention {
		return object.Retention{Mode: d.Mode, Until: made.AddDate(d.Years, 0, d.Days)}
	}
}

// checkLocking: a container with object lock keeps all versions, and has it for good.
func checkLocking(before, after bucket.Config) error {
	var msg string
	switch {
	case before.ObjectLock && !after.ObjectLock:
		msg = "object lock cannot be disabled"
	case before.ObjectLock && after.Versioning != bucket.VersioningEnabled:
		msg = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
	case after.ObjectLock && after.Versioning != bucket.VersioningEnabled:
		msg = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
	default:
		return nil
	}
	return errs.E("", errs.Invalid, errs.Container, "").Because(errs.BadState, msg)
}
