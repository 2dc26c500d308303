package swift

import (
	"context"
	"encoding/json"
	"net/http"

	"pithos/internal/backend"
	"pithos/internal/naming"
)

// describe makes the document of /info: what is served, and nothing else.
func (d *Door) describe() []byte {
	type object = map[string]any
	shown := make([]object, len(policies))
	for i, p := range policies {
		shown[i] = object{"name": p.name, "aliases": p.name}
	}
	shown[0]["default"] = true
	doc := object{
		"swift": object{
			"version": d.o.Version, "max_file_size": d.o.Limits.ObjectBytes, "max_object_name_length": naming.ObjectNameMax,
			"max_container_name_length": naming.ContainerNameMax, "max_account_name_length": naming.AccountMax,
			"max_meta_name_length": metaNameMax, "max_meta_value_length": metaValueMax, "max_meta_count": metaCountMax,
			"max_meta_overall_size": metaOverallMax, "max_header_size": headerMax, "extra_header_count": 0,
			"container_listing_limit": d.o.Limits.Listing, "account_listing_limit": d.o.Limits.Listing,
			"account_autocreate": false, "allow_account_management": false, "allow_open_expired": d.o.OpenExpired, "strict_cors_mode": true,
			"policies": shown,
		},
		"tempauth":         object{"account_acls": true},
		"container_quotas": object{},
		"account_quotas":   object{},
		"s3api": object{
			"max_bucket_listing": 1000, "max_parts_listing": 1000, "max_upload_part_num": 10000, "max_multi_delete_objects": 1000,
			"allow_multipart_uploads": true, "min_segment_size": 5 << 20, "s3_acl": true,
		},
		"tempurl": object{
			"methods": linkMethods, "incoming_remove_headers": []string{"x-timestamp", "x-open-expired"}, "incoming_allow_headers": []string{},
			"outgoing_remove_headers": []string{"x-object-meta-*"}, "outgoing_allow_headers": []string{"x-object-meta-public-*"},
			"allowed_digests": digestNames, "deprecated_digests": []string{"sha1"},
		},
		"formpost":    object{"allowed_digests": digestNames, "deprecated_digests": []string{"sha1"}},
		"staticweb":   object{},
		"crossdomain": object{},
		"etag_quoter": object{"enable_by_default": d.o.QuotedETags},
		"ratelimit": object{
			"account_ratelimit": d.o.Rates.Account, "max_sleep_time_seconds": d.o.Rates.wait().Seconds(),
			"container_ratelimits": sizes(d.o.Rates.Container), "container_listing_ratelimits": sizes(d.o.Rates.Listing),
		},
		"bulk_upload": object{"max_containers_per_extraction": bulkContainersMax, "max_failed_extractions": bulkFailuresMax},
		"bulk_delete": object{"max_deletes_per_request": bulkDeletesMax, "max_failed_deletes": bulkFailuresMax},
		"slo": object{
			"max_manifest_segments": manifestSegmentsMax, "max_manifest_size": manifestBytesMax, "min_segment_size": segmentSizeMin,
			"yield_frequency": int(yieldFrequency.Seconds()), "allow_async_delete": true,
		},
		"object_versioning": object{},
		"versioned_writes":  object{"allowed_flags": []string{"x-versions-location", "x-history-location"}},
		"symlink":           object{"symloop_max": backend.LinksMax, "static_links": true},
	}
	doc["container_sync"] = object{"realms": d.realms().describe(d.o.Sync.Current)}
	if len(d.o.Domains) > 0 {
		doc["domain_remap"] = object{"default_reseller_prefix": nil}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return []byte("{}") // cannot happen: the document is made of maps, words and numbers
	}
	return raw
}

func getInfo(_ context.Context, c *call) (*reply, error) {
	c.set("Content-Type", "application/json; charset=UTF-8")
	c.setIf("Access-Control-Allow-Origin", c.h("Origin"))
	info := c.door.describe()
	if c.r.Method == http.MethodHead {
		c.setInt("Content-Length", int64(len(info)))
		return empty(http.StatusOK), nil
	}
	return &reply{status: http.StatusOK, body: info}, nil
}

func getHealth(_ context.Context, c *call) (*reply, error) {
	c.set("Content-Type", "text/plain")
	if c.door.o.Disabled != nil && c.door.o.Disabled() {
		return &reply{status: http.StatusServiceUnavailable, body: []byte("DISABLED BY FILE")}, nil
	}
	return &reply{status: http.StatusOK, body: []byte("OK")}, nil
}

// sizes shows a rate that holds for containers of every size.
func sizes(rate float64) [][2]float64 {
	if rate <= 0 {
		return [][2]float64{}
	}
	return [][2]float64{{0, rate}}
}

// getCrossdomain tells plug-ins of old browsers which sites may use the service.
func getCrossdomain(_ context.Context, c *call) (*reply, error) {
	policy := c.door.o.Crossdomain
	if policy == "" {
		policy = `<allow-access-from domain="*" secure="false" />`
	}
	c.set("Content-Type", "application/xml; charset=UTF-8")
	return &reply{status: http.StatusOK, body: []byte("<?xml version=\"1.0\"?>\n" +
		"<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\" >\n" +
		"<cross-domain-policy>\n" + policy + "\n</cross-domain-policy>")}, nil
}
