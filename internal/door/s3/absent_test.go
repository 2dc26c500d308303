package s3

import (
	"strings"
	"testing"
)

func absentCases() map[string]func(*testing.T, *world) {
	all := map[string]func(*testing.T, *world){}
	for op, tc := range map[string]struct{ marker, code string }{
		"GetBucketEncryption":  {"encryption", "ServerSideEncryptionConfigurationNotFoundError"},
		"GetBucketReplication": {"replication", "ReplicationConfigurationNotFoundError"},
		"GetBucketWebsite":     {"website", "NoSuchWebsiteConfiguration"},
	} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("GET", "/photos?"+tc.marker, nil).want(404, tc.code)
			w.bob.do("GET", "/photos?"+tc.marker, nil).want(403, "AccessDenied")
			w.alice.do("GET", "/nowhere?"+tc.marker, nil).want(404, "NoSuchBucket")
		}
	}
	for op, tc := range map[string]struct{ marker, text string }{
		"GetBucketNotificationConfiguration":         {"notification", "NotificationConfiguration"},
		"GetBucketRequestPayment":                    {"requestPayment", "<Payer>BucketOwner</Payer>"},
		"GetBucketAbac":                              {"abac", "<Status>Disabled</Status>"},
		"ListBucketAnalyticsConfigurations":          {"analytics", "<IsTruncated>false</IsTruncated>"},
		"ListBucketIntelligentTieringConfigurations": {"intelligent-tiering", "<IsTruncated>false</IsTruncated>"},
		"ListBucketInventoryConfigurations":          {"inventory", "<IsTruncated>false</IsTruncated>"},
		"ListBucketMetricsConfigurations":            {"metrics", "<IsTruncated>false</IsTruncated>"},
	} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("GET", "/photos?"+tc.marker, nil).want(200).contains(tc.text)
			w.bob.do("GET", "/photos?"+tc.marker, nil).want(403, "AccessDenied")
		}
	}
	for op, tc := range map[string]struct{ marker, kept, refused string }{
		"PutBucketRequestPayment": {"requestPayment", "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>"},
		"PutBucketNotificationConfiguration": {
			"notification", `<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`,
			"<NotificationConfiguration><QueueConfiguration><Queue>q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>",
		},
		"PutBucketAccelerateConfiguration": {"accelerate", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>", "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"},
	} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("PUT", "/photos?"+tc.marker, []byte(tc.kept)).want(200)
			w.alice.do("PUT", "/photos?"+tc.marker, []byte(tc.refused)).want(501, "NotImplemented")
			w.alice.do("PUT", "/photos?"+tc.marker, []byte("<x/>")).want(400, "MalformedXML")
			w.bob.do("PUT", "/photos?"+tc.marker, []byte(tc.kept)).want(403, "AccessDenied")
		}
	}
	all["GetBucketAccelerateConfiguration"] = func(t *testing.T, w *world) {
		if text := string(w.alice.do("GET", "/photos?accelerate", nil).want(200).body); strings.Contains(text, "Status") {
			t.Error(text)
		}
		w.alice.do("PUT", "/photos?accelerate", []byte("<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>")).want(200)
		w.alice.do("GET", "/photos?accelerate", nil).want(200).contains("<Status>Suspended</Status>")
	}
	for op, marker := range map[string]string{"DeleteBucketReplication": "replication", "DeleteBucketWebsite": "website"} {
		all[op] = func(_ *testing.T, w *world) {
			w.alice.do("DELETE", "/photos?"+marker, nil).want(204)
			w.bob.do("DELETE", "/photos?"+marker, nil).want(403, "AccessDenied")
		}
	}
	for what, marker := range map[string]string{"Analytics": "analytics", "IntelligentTiering": "intelligent-tiering", "Inventory": "inventory", "Metrics": "metrics"} {
		for method, op := range map[string]string{"GET": "GetBucket" + what + "Configuration", "DELETE": "DeleteBucket" + what + "Configuration"} {
			all[op] = func(_ *testing.T, w *world) {
				w.alice.do(method, "/photos?"+marker+"&id=x", nil).want(404, "NoSuchConfiguration")
				w.bob.do(method, "/photos?"+marker+"&id=x", nil).want(403, "AccessDenied")
				w.alice.do("PUT", "/photos?"+marker+"&id=x", []byte("<x/>")).want(501, "NotImplemented")
			}
		}
	}
	all["GetObjectTorrent"] = func(_ *testing.T, w *world) {
		w.alice.do("PUT", "/photos/a", []byte("hello")).want(200)
		w.alice.do("GET", "/photos/a?torrent", nil).want(404, "NoSuchKey").contains("torrent")
		w.bob.do("GET", "/photos/a?torrent", nil).want(403, "AccessDenied")
	}
	return all
}
