package backend

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pithos/internal/access/policy"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/meta"
)

// deed says of an operation what the conditions of policies may ask and its door cannot know, or what must be the same whichever door it came
// through. The zero deed says nothing.
type deed struct {
	container naming.ContainerID
	which     meta.Which
	version   *object.Version // that the operation is about, when it was looked up already
	source    *Target         // of a copy
	prefix    *string         // of a listing, in place of the one that the door tells
	tags      []object.Tag    // that the request gives
	retention *object.Retention
	legalHold bool
	anew      bool // it is a part of writing a new object
}

// factsOf tells the facts of one operation: those of the deed, then those that the door knows of the request.
type factsOf struct {
	deed
	b     *Backend
	ctx   context.Context //nolint:containedctx // it lives as long as the one question, which cannot carry it
	door  policy.Facts
	name  naming.ObjectName
	owner naming.AccountID
	err   error // of looking something up; the answer does not count then
}

// Fact implements policy.Facts.
func (f *factsOf) Fact(key string) ([]string, bool) {
	switch key {
	case "aws:currenttime":
		return one(f.b.now().UTC().Format(time.RFC3339))
	case "aws:epochtime":
		return one(strconv.FormatInt(f.b.now().Unix(), 10))
	case "aws:requestedregion":
		return one(f.b.opts.Region)
	case "s3:resourceaccount", "aws:resourceaccount":
		return one(string(f.owner))
	case "s3:prefix":
		if f.prefix != nil {
			return one(*f.prefix)
		}
	case "s3:versionid":
		// Only what a request names: the newest version has no id here.
		switch f.which.By {
		case meta.ByID:
			return one(fmt.Sprintf("%016x", uint64(f.which.ID))) // as the S3 door shows it
		case meta.TheNull:
			return one("null")
		case meta.Newest, meta.AsOf:
			return nil, false
		}
	case "s3:x-amz-copy-source":
		if f.source == nil {
			return nil, false
		}
		return f.copySource()
	case "s3:object-lock-mode", "s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days", "s3:object-lock-legal-hold":
		return f.lock(key)
	}
	if key == "s3:requestobjecttagkeys" {
		var keys []string
		for _, t := range f.tags {
			keys = append(keys, t.Key)
		}
		return keys, len(keys) > 0
	}
	if tag, ok := strings.CutPrefix(key, "s3:requestobjecttag/"); ok {
		return tagOf(f.tags, tag)
	}
	if tag, ok := strings.CutPrefix(key, "s3:existingobjecttag/"); ok {
		return f.existingTag(tag)
	}
	if f.door == nil {
		return nil, false
	}
	return f.door.Fact(key)
}

func one(value string) ([]string, bool) { return []string{value}, true }

// copySource is the source's name, with and without the slash that AWS leaves to the client.
func (f *factsOf) copySource() ([]string, bool) {
	name := string(f.source.Container.Bucket)
	if name == "" {
		name = string(f.source.Container.Name)
	}
	name += "/" + string(f.source.Name)
	return []string{name, "/" + name}, true
}

// lock is what the request asks for as the object's lock.
func (f *factsOf) lock(key string) ([]string, bool) {
	if key == "s3:object-lock-legal-hold" {
		if f.legalHold {
			return one("ON")
		}
		if f.door == nil {
			return nil, false
		}
		return f.door.Fact(key)
	}
	if f.retention == nil || f.retention.Mode == object.NoRetention {
		return nil, false
	}
	switch key {
	case "s3:object-lock-mode":
		return one(lockMode(f.retention.Mode))
	case "s3:object-lock-retain-until-date":
		return one(f.retention.Until.UTC().Format(time.RFC3339))
	}
	days := f.retention.Until.Sub(f.b.now()).Hours() / 24
	return one(strconv.FormatFloat(days, 'f', 3, 64))
}

// existingTag is a tag of the object as it is before the operation. It is looked up when a policy asks and not before.
func (f *factsOf) existingTag(key string) ([]string, bool) {
	if f.version == nil && f.name != "" && f.container != (naming.ContainerID{}) {
		v, err := f.b.getForReading(f.ctx, f.container, f.name, f.which)
		switch {
		case errs.Is(err, errs.NotFound):
			v = &object.Version{}
		case err != nil:
			f.err = err
			return nil, false
		}
		f.version = v
	}
	if f.version == nil {
		return nil, false
	}
	return tagOf(f.version.Tags, key)
}

func tagOf(tags []object.Tag, key string) ([]string, bool) {
	for _, t := range tags {
		if t.Key == key {
			return one(t.Value)
		}
	}
	return nil, false
}

// deed is what a writer's attributes say.
func (a *Attributes) deed() deed {
	return deed{tags: a.Tags, retention: &a.Retention, legalHold: a.LegalHold}
}

func lockMode(m object.RetentionMode) string {
	if m == object.Compliance {
		return "COMPLIANCE"
	}
	return "GOVERNANCE"
}
