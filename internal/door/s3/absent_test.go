package s3

import "testing"

func absentCases() map[string]func(*testing.T, *world) {
	all := map[string]func(*testing.T, *world){}
	for op, tc := range map[string]struct{ marker, code string }{
		"GetBucketEncryption":   {"encryption", "ServerSideEncryptionConfigurationNotFoundError"},
		"GetBucketPolicy":       {"policy", "NoSuchBucketPolicy"},
		"GetBucketPolicyStatus": {"policyStatus", "NoSuchBucketPolicy"},
		"GetBucketReplication":  {"replication", "ReplicationConfigurationNotFoundError"},
		"GetBucketWebsite":      {"website", "NoSuchWebsiteConfiguration"},
	} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("GET", "/photos?"+tc.marker, nil).want(404, tc.code)
			w.bob.do("GET", "/photos?"+tc.marker, nil).want(403, "AccessDenied")
			w.alice.do("GET", "/nowhere?"+tc.marker, nil).want(404, "NoSuchBucket")
		}
	}
	for op, tc := range map[string]struct{ marker, text string }{
		"GetBucketLogging":                   {"logging", "BucketLoggingStatus"},
		"GetBucketNotificationConfiguration": {"notification", "NotificationConfiguration"},
		"GetBucketAccelerateConfiguration":   {"accelerate", "AccelerateConfiguration"},
		"GetBucketRequestPayment":            {"requestPayment", "<Payer>BucketOwner</Payer>"},
	} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("GET", "/photos?"+tc.marker, nil).want(200).contains(tc.text)
			w.bob.do("GET", "/photos?"+tc.marker, nil).want(403, "AccessDenied")
			w.alice.do("PUT", "/photos?"+tc.marker, []byte("<x/>")).want(501, "NotImplemented")
		}
	}
	all["GetObjectTorrent"] = func(_ *testing.T, w *world) {
		w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
		w.alice.do("GET", "/photos/a?torrent", nil).want(404, "NoSuchKey").contains("torrent")
		w.bob.do("GET", "/photos/a?torrent", nil).want(403, "AccessDenied")
	}
	return all
}
