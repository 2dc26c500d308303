package s3

import (
	"strings"
	"testing"

	"pithos/internal/store/bucket"
)

// notConfiguredAnswers are what a read of each sub-resource of a bucket that was just made is answered with: the code that tools such as Terraform take for "there is
// none", and with other codes fail; or a text of the document where there always is one. Source: S3 API Reference, the page and "Error responses" of each operation.
var notConfiguredAnswers = map[string]struct {
	status     int
	code, text string
}{
	"GetBucketAbac":                              {200, "", "<Status>Disabled</Status>"},
	"GetBucketAccelerateConfiguration":           {200, "", "<AccelerateConfiguration"},
	"GetBucketAcl":                               {200, "", "<Permission>FULL_CONTROL</Permission>"},
	"GetBucketAnalyticsConfiguration":            {404, "NoSuchConfiguration", ""},
	"GetBucketCors":                              {404, "NoSuchCORSConfiguration", ""},
	"GetBucketEncryption":                        {404, "ServerSideEncryptionConfigurationNotFoundError", ""},
	"GetBucketIntelligentTieringConfiguration":   {404, "NoSuchConfiguration", ""},
	"GetBucketInventoryConfiguration":            {404, "NoSuchConfiguration", ""},
	"GetBucketLifecycleConfiguration":            {404, "NoSuchLifecycleConfiguration", ""},
	"GetBucketLocation":                          {200, "", "<LocationConstraint"},
	"GetBucketLogging":                           {200, "", "<BucketLoggingStatus"},
	"GetBucketMetadataConfiguration":             {501, "NotImplemented", ""},
	"GetBucketMetadataTableConfiguration":        {501, "NotImplemented", ""},
	"GetBucketMetricsConfiguration":              {404, "NoSuchConfiguration", ""},
	"GetBucketNotificationConfiguration":         {200, "", "<NotificationConfiguration"},
	"GetBucketOwnershipControls":                 {404, "OwnershipControlsNotFoundError", ""},
	"GetBucketPolicy":                            {404, "NoSuchBucketPolicy", ""},
	"GetBucketPolicyStatus":                      {200, "", "<IsPublic>false</IsPublic>"},
	"GetBucketReplication":                       {404, "ReplicationConfigurationNotFoundError", ""},
	"GetBucketRequestPayment":                    {200, "", "<Payer>BucketOwner</Payer>"},
	"GetBucketTagging":                           {404, "NoSuchTagSet", ""},
	"GetBucketVersioning":                        {200, "", "<VersioningConfiguration"},
	"GetBucketWebsite":                           {404, "NoSuchWebsiteConfiguration", ""},
	"GetObjectLockConfiguration":                 {404, "ObjectLockConfigurationNotFoundError", ""},
	"GetPublicAccessBlock":                       {404, "NoSuchPublicAccessBlockConfiguration", ""},
	"ListBucketAnalyticsConfigurations":          {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListBucketIntelligentTieringConfigurations": {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListBucketInventoryConfigurations":          {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListBucketMetricsConfigurations":            {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListMultipartUploads":                       {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListObjectVersions":                         {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListObjects":                                {200, "", "<IsTruncated>false</IsTruncated>"},
	"ListObjectsV2":                              {200, "", "<KeyCount>0</KeyCount>"},
	"CreateSession":                              {501, "NotImplemented", ""},
}

// TestNothingIsConfigured reads everything that can be read of a bucket, as Terraform does, when it was just made, and again after all that can be removed was removed.
// A row that is not in the table fails, so that none is forgotten.
func TestNothingIsConfigured(t *testing.T) {
	w := newWorld(t)
	w.bucket("fresh", bucket.Config{})
	table := rows()
	sweep := func(when string) {
		for _, r := range table {
			if r.level != bucketLevel || r.method != "GET" {
				continue
			}
			want, ok := notConfiguredAnswers[r.op]
			if !ok {
				t.Errorf("it is not said how %s is answered for a bucket without settings", r.op)
				continue
			}
			a := w.alice.do("GET", target(r), nil)
			if a.status != want.status || a.code() != want.code || !strings.Contains(string(a.body), want.text) {
				t.Errorf("%s, %s: %d %s, want %d %s with %q:\n%s", r.op, when, a.status, a.code(), want.status, want.code, want.text, a.body)
			}
		}
	}
	sweep("new")
	removed := 0
	for _, r := range table {
		if r.level != bucketLevel || r.method != "DELETE" || r.marker == "" || r.state != served {
			continue
		}
		a := w.alice.do("DELETE", target(r), nil)
		if a.status != 204 && (a.status != 404 || a.code() != "NoSuchConfiguration") {
			t.Errorf("%s: %d %s", r.op, a.status, a.body)
		}
		removed++
	}
	if removed < 10 {
		t.Errorf("only %d sub-resources can be removed", removed)
	}
	sweep("after removals of what was not there")
}

// target is the address of a row of the bucket "fresh".
func target(r row) string {
	query := strings.ReplaceAll(r.marker, "&id", "&id=x")
	if query == "" {
		return "/fresh"
	}
	return "/fresh?" + query
}
