package s3

import (
	"net/http"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/clock"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

func lockCases() map[string]func(*testing.T, *world) {
	return map[string]func(*testing.T, *world){
		"GetObjectLockConfiguration": testLockConfiguration, "PutObjectLockConfiguration": testLockConfiguration,
		"GetObjectRetention": testRetention, "PutObjectRetention": testRetention,
		"GetObjectLegalHold": testLegalHold, "PutObjectLegalHold": testLegalHold,
	}
}

// locked makes a bucket "vault" with object lock.
func (w *world) locked() {
	w.alice.do("PUT", "/vault", nil, "x-amz-bucket-object-lock-enabled", "true").want(200)
}

func retentionXML(mode string, until time.Time) []byte {
	return []byte("<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until.UTC().Format(time.RFC3339) + "</RetainUntilDate></Retention>")
}

func lockXML(mode, period string) []byte {
	return []byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>" + mode + "</Mode>" + period +
		"</DefaultRetention></Rule></ObjectLockConfiguration>")
}

func testLockConfiguration(t *testing.T, w *world) {
	w.alice.do("GET", "/photos?object-lock", nil).want(404, "ObjectLockConfigurationNotFoundError")
	w.bob.do("GET", "/photos?object-lock", nil).want(403, "AccessDenied")
	w.alice.do("PUT", "/photos?object-lock", lockXML("GOVERNANCE", "<Days>1</Days>")).want(409, "InvalidBucketState")
	w.versioning(bucket.VersioningEnabled)
	w.alice.do("PUT", "/photos?object-lock", lockXML("GOVERNANCE", "<Days>1</Days>")).want(200)
	w.alice.do("GET", "/photos?object-lock", nil).want(200).contains("<Mode>GOVERNANCE</Mode><Days>1</Days>")

	w.alice.do("PUT", "/odd", nil, "x-amz-bucket-object-lock-enabled", "perhaps").want(400, "InvalidArgument")
	w.alice.do("PUT", "/open", nil, "x-amz-bucket-object-lock-enabled", "false").want(200)
	w.alice.do("PUT", "/open", nil, "x-amz-bucket-object-lock-enabled", "true").want(409, "BucketAlreadyExists")
	w.locked()
	w.alice.do("GET", "/vault?object-lock", nil).want(200).contains("<ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
	w.alice.do("GET", "/vault?versioning", nil).want(200).contains("Enabled")
	w.alice.do("PUT", "/vault?versioning", []byte("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")).want(409, "InvalidBucketState")
	for _, body := range [][]byte{
		lockXML("GOVERNANCE", ""), lockXML("GOVERNANCE", "<Days>1</Days><Years>1</Years>"), lockXML("governance", "<Days>1</Days>"),
		[]byte("<ObjectLockConfiguration><ObjectLockEnabled>Disabled</ObjectLockEnabled></ObjectLockConfiguration>"),
		[]byte("<ObjectLockConfiguration/>"),
	} {
		w.alice.do("PUT", "/vault?object-lock", body).want(400, "MalformedXML")
	}
	for _, period := range []string{"<Days>0</Days>", "<Years>-1</Years>", "<Days>36501</Days>", "<Years>101</Years>"} {
		w.alice.do("PUT", "/vault?object-lock", lockXML("GOVERNANCE", period)).want(400, "InvalidRetentionPeriod")
	}
	w.bob.do("PUT", "/vault?object-lock", lockXML("GOVERNANCE", "<Days>1</Days>")).want(403, "AccessDenied")

	// The default holds for whatever way a version comes, unless it brings its own; not for delete markers.
	w.alice.do("PUT", "/vault?object-lock", lockXML("COMPLIANCE", "<Years>1</Years>")).want(200)
	w.alice.do("PUT", "/vault/put", []byte("x")).want(200)
	w.alice.do("PUT", "/vault/copy", nil, "x-amz-copy-source", "vault/put").want(200)
	id := w.alice.do("POST", "/vault/assembled?uploads", nil).want(200).element("UploadId")
	etag := w.alice.do("PUT", "/vault/assembled?partNumber=1&uploadId="+id, []byte("part")).want(200).header.Get("Etag")
	w.alice.do("POST", "/vault/assembled?uploadId="+id,
		[]byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")).want(200)
	for _, name := range []string{"put", "copy", "assembled"} {
		a := w.alice.do("HEAD", "/vault/"+name, nil).want(200).has("x-amz-object-lock-mode", "COMPLIANCE")
		until, err := time.Parse(time.RFC3339Nano, a.header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		modified, _ := time.Parse(time.RFC1123, a.header.Get("Last-Modified"))
		if want := modified.AddDate(1, 0, 0); err != nil || until.Before(want) || until.After(want.Add(time.Second)) {
			t.Errorf("%s is kept until %v, %v; want %v", name, until, err, want)
		}
		w.alice.do("DELETE", "/vault/"+name+"?versionId="+a.header.Get("X-Amz-Version-Id"), nil, "x-amz-bypass-governance-retention", "true").want(403, "AccessDenied")
	}
	w.alice.do("PUT", "/vault/own", nil, "x-amz-object-lock-mode", "GOVERNANCE",
		"x-amz-object-lock-retain-until-date", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)).want(200)
	w.alice.do("HEAD", "/vault/own", nil).want(200).has("x-amz-object-lock-mode", "GOVERNANCE")
	marker := w.alice.do("DELETE", "/vault/put", nil).want(204).header.Get("X-Amz-Version-Id")
	w.alice.do("DELETE", "/vault/put?versionId="+marker, nil).want(204)
}

func testRetention(_ *testing.T, w *world) {
	hour, day := time.Now().Add(time.Hour), time.Now().Add(24*time.Hour)
	w.alice.do("PUT", "/photos/a", nil).want(200)
	w.alice.do("GET", "/photos/a?retention", nil).want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/a?retention", retentionXML("GOVERNANCE", hour)).want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/a", nil, "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", hour.Format(time.RFC3339)).
		want(400, "InvalidRequest")

	w.locked()
	v := w.alice.do("PUT", "/vault/a", []byte("x")).want(200).header.Get("X-Amz-Version-Id")
	w.alice.do("GET", "/vault/a?retention", nil).want(404, "NoSuchObjectLockConfiguration")
	w.bob.do("GET", "/vault/a?retention", nil).want(403, "AccessDenied")
	for _, body := range []string{"<Retention><Mode>GOVERNANCE</Mode></Retention>", string(retentionXML("governance", hour)), "<Retention>", "<X/>"} {
		w.alice.do("PUT", "/vault/a?retention", []byte(body)).want(400, "MalformedXML")
	}
	w.alice.do("PUT", "/vault/a?retention", retentionXML("GOVERNANCE", time.Now().Add(-time.Hour))).want(400, "InvalidArgument")

	// Governance: longer is free, anything else needs the bypass.
	w.alice.do("PUT", "/vault/a?retention", retentionXML("GOVERNANCE", hour)).want(200)
	w.alice.do("GET", "/vault/a?retention&versionId="+v, nil).want(200).contains("<Mode>GOVERNANCE</Mode><RetainUntilDate>" + hour.UTC().Format("2006-01-02T15:04:05") + ".000Z")
	w.alice.do("PUT", "/vault/a?retention", retentionXML("GOVERNANCE", day)).want(200)
	for _, body := range [][]byte{retentionXML("GOVERNANCE", hour), retentionXML("COMPLIANCE", day), []byte("<Retention></Retention>")} {
		w.alice.do("PUT", "/vault/a?retention", body).want(403, "AccessDenied")
	}
	w.alice.do("DELETE", "/vault/a?versionId="+v, nil).want(403, "AccessDenied")
	w.alice.do("PUT", "/vault/a?retention", retentionXML("GOVERNANCE", hour), "x-amz-bypass-governance-retention", "true").want(200)
	w.alice.do("PUT", "/vault/a?retention", []byte("<Retention></Retention>"), "x-amz-bypass-governance-retention", "true").want(200)
	w.alice.do("GET", "/vault/a?retention", nil).want(404, "NoSuchObjectLockConfiguration")

	// Compliance: longer is free, nothing else is possible.
	w.alice.do("PUT", "/vault/a?retention", retentionXML("COMPLIANCE", hour)).want(200)
	w.alice.do("PUT", "/vault/a?retention", retentionXML("COMPLIANCE", day)).want(200)
	for _, body := range [][]byte{retentionXML("COMPLIANCE", hour), retentionXML("GOVERNANCE", day), []byte("<Retention></Retention>")} {
		w.alice.do("PUT", "/vault/a?retention", body, "x-amz-bypass-governance-retention", "true").want(403, "AccessDenied")
	}
	w.alice.do("DELETE", "/vault/a?versionId="+v, nil, "x-amz-bypass-governance-retention", "true").want(403, "AccessDenied")
	w.alice.do("POST", "/vault?delete", []byte("<Delete><Object><Key>a</Key><VersionId>"+v+"</VersionId></Object></Delete>"),
		"x-amz-bypass-governance-retention", "true").want(200).contains("<Code>AccessDenied</Code>")
	w.alice.do("GET", "/vault/a?versionId="+v, nil).want(200)
	w.bob.do("PUT", "/vault/a?retention", retentionXML("COMPLIANCE", day.Add(time.Hour))).want(403, "AccessDenied")

	// Who may write but not lock cannot lock by the way.
	w.alice.do("PUT", "/vault?acl", nil, "x-amz-grant-write", "id=canonical-bob").want(200)
	w.bob.do("PUT", "/vault/bobs", nil, "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", hour.Format(time.RFC3339)).want(403)
	w.bob.do("PUT", "/vault/bobs", nil, "x-amz-object-lock-legal-hold", "ON").want(403)
	for _, headers := range [][]string{
		{"x-amz-object-lock-mode", "GOVERNANCE"},
		{"x-amz-object-lock-retain-until-date", hour.Format(time.RFC3339)},
		{"x-amz-object-lock-mode", "NONE", "x-amz-object-lock-retain-until-date", hour.Format(time.RFC3339)},
		{"x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "tomorrow"},
		{"x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "2001-01-01T00:00:00Z"},
		{"x-amz-object-lock-legal-hold", "PERHAPS"},
	} {
		w.alice.do("PUT", "/vault/b", nil, headers...).want(400, "InvalidArgument")
	}
}

func testLegalHold(_ *testing.T, w *world) {
	on, off := []byte("<LegalHold><Status>ON</Status></LegalHold>"), []byte("<LegalHold><Status>OFF</Status></LegalHold>")
	w.alice.do("PUT", "/photos/a", nil).want(200)
	w.alice.do("GET", "/photos/a?legal-hold", nil).want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/a?legal-hold", on).want(400, "InvalidRequest")
	w.alice.do("PUT", "/photos/a", nil, "x-amz-object-lock-legal-hold", "ON").want(400, "InvalidRequest")
	w.locked()
	v := w.alice.do("PUT", "/vault/a", nil).want(200).header.Get("X-Amz-Version-Id")
	w.alice.do("GET", "/vault/a?legal-hold", nil).want(200).contains("<Status>OFF</Status>")
	w.alice.do("PUT", "/vault/a?legal-hold", []byte("<LegalHold><Status>on</Status></LegalHold>")).want(400, "MalformedXML")
	w.bob.do("PUT", "/vault/a?legal-hold", on).want(403, "AccessDenied")
	w.alice.do("PUT", "/vault/a?legal-hold", on).want(200)
	w.alice.do("GET", "/vault/a?legal-hold", nil).want(200).contains("<Status>ON</Status>")
	w.alice.do("HEAD", "/vault/a", nil).want(200).has("x-amz-object-lock-legal-hold", "ON", "x-amz-object-lock-mode", "")
	w.alice.do("DELETE", "/vault/a?versionId="+v, nil, "x-amz-bypass-governance-retention", "true").want(403, "AccessDenied")
	w.alice.do("PUT", "/vault/a?legal-hold", off).want(200)
	w.alice.do("DELETE", "/vault/a?versionId="+v, nil).want(204)
	// A lock belongs to a version: a copy has its own.
	w.alice.do("PUT", "/vault/b", nil, "x-amz-object-lock-legal-hold", "ON").want(200)
	w.alice.do("PUT", "/vault/c", nil, "x-amz-copy-source", "vault/b").want(200)
	w.alice.do("HEAD", "/vault/c", nil).want(200).has("x-amz-object-lock-legal-hold", "")
	w.alice.do("PUT", "/vault/c", nil, "x-amz-copy-source", "vault/b", "x-amz-object-lock-legal-hold", "ON").want(200)
	w.alice.do("HEAD", "/vault/c", nil).want(200).has("x-amz-object-lock-legal-hold", "ON")
	// Who may read but not ask for the lock does not see it.
	w.alice.do("PUT", "/vault/b?acl", nil, "x-amz-grant-read", "id=canonical-bob").want(200)
	w.bob.do("HEAD", "/vault/b", nil).want(200).has("x-amz-object-lock-legal-hold", "")
}

// TestLocksSurviveTheClock shows that a clock which is put back loosens nothing, and that a default retention counts from the version's own time.
func TestLocksSurviveTheClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	manual := clock.NewManual(now)
	w := newWorldAt(t, manual, func(s blob.Store) blob.Store { return s })
	w.bucket("vault", bucket.Config{
		ObjectLock: true, Versioning: bucket.VersioningEnabled, Retention: bucket.Retention{Mode: object.Compliance, Days: 10},
	})
	at := backend.Target{Container: backend.Ref{Bucket: "vault"}, Name: "a"}
	ctx := t.Context()
	write := func() *object.Version {
		v, err := w.b.Put(ctx, w.alice.caller, backend.PutRequest{Container: at.Container, Name: at.Name, Body: backend.Body{Reader: http.NoBody, Size: 0}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := write()
	manual.Set(now.AddDate(-5, 0, 0))
	second := write()
	if !second.Retention.Until.After(first.Retention.Until) {
		t.Errorf("kept until %v, made after one kept until %v", second.Retention.Until, first.Retention.Until)
	}
	for _, v := range []*object.Version{first, second} {
		one := at
		one.Which = meta.Which{By: meta.ByID, ID: v.ID}
		if _, err := w.b.SetRetention(ctx, w.alice.caller, one, object.Retention{Mode: object.Compliance, Until: now.AddDate(-4, 0, 0)}, true); err == nil {
			t.Error("the retention was shortened")
		}
		if _, err := w.b.Delete(ctx, w.alice.caller, backend.DeleteRequest{Target: one, Bypass: true}); err == nil {
			t.Error("the version was removed")
		}
	}
	manual.Set(now.AddDate(0, 0, 11))
	one := at
	one.Which = meta.Which{By: meta.ByID, ID: first.ID}
	if _, err := w.b.Delete(ctx, w.alice.caller, backend.DeleteRequest{Target: one}); err != nil {
		t.Errorf("after its retention: %v", err)
	}
	if _, err := w.b.Configure(ctx, w.alice.caller, at.Container, access.PutObjectLockConfiguration, func(_ bucket.Container, c *bucket.Config) error {
		c.ObjectLock = false
		return nil
	}); err == nil {
		t.Error("object lock was switched off")
	}
}
