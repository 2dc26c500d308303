package swift

import (
	"context"
	"encoding/json"
	"net/http"

	"pithos/internal/backend"
	"pithos/internal/naming"
)

// policyName is the one storage policy.
const policyName = "default"

// describe makes the document of /info: what is served, and nothing else.
func (d *Door) describe() []byte {
	type object = map[string]any
	raw, err := json.Marshal(object{
		"swift": object{
			"version": d.o.Version, "max_file_size": d.o.Limits.ObjectBytes, "max_object_name_length": naming.ObjectNameMax,
			"max_container_name_length": naming.ContainerNameMax, "max_account_name_length": naming.AccountMax,
			"max_meta_name_length": metaNameMax, "max_meta_value_length": metaValueMax, "max_meta_count": metaCountMax,
			"max_meta_overall_size": metaOverallMax, "max_header_size": headerMax, "extra_header_count": 0,
			"container_listing_limit": d.o.Limits.Listing, "account_listing_limit": d.o.Limits.Listing,
			"account_autocreate": false, "allow_account_management": false, "allow_open_expired": false, "strict_cors_mode": true,
			"policies": []object{{"name": policyName, "aliases": policyName, "default": true}},
		},
		"tempauth":         object{"account_acls": false},
		"container_quotas": object{},
		"tempurl": object{
			"methods": linkMethods, "incoming_remove_headers": []string{"x-timestamp", "x-open-expired"}, "incoming_allow_headers": []string{},
			"outgoing_remove_headers": []string{"x-object-meta-*"}, "outgoing_allow_headers": []string{"x-object-meta-public-*"},
			"allowed_digests": digestNames, "deprecated_digests": []string{"sha1"},
		},
		"formpost":    object{"allowed_digests": digestNames, "deprecated_digests": []string{"sha1"}},
		"staticweb":   object{},
		"bulk_upload": object{"max_containers_per_extraction": bulkContainersMax, "max_failed_extractions": bulkFailuresMax},
		"bulk_delete": object{"max_deletes_per_request": bulkDeletesMax, "max_failed_deletes": bulkFailuresMax},
		"slo": object{
			"max_manifest_segments": manifestSegmentsMax, "max_manifest_size": manifestBytesMax, "min_segment_size": segmentSizeMin,
			"yield_frequency": int(yieldFrequency.Seconds()), "allow_async_delete": true,
		},
		"symlink": object{"symloop_max": backend.LinksMax, "static_links": true},
	})
	if err != nil {
		return []byte("{}") // cannot happen: the document is made of maps, words and numbers
	}
	return raw
}

func getInfo(_ context.Context, c *call) (*reply, error) {
	c.set("Content-Type", "application/json; charset=UTF-8")
	if c.r.Method == http.MethodHead {
		c.setInt("Content-Length", int64(len(c.door.info)))
		return empty(http.StatusOK), nil
	}
	return &reply{status: http.StatusOK, body: c.door.info}, nil
}

func getHealth(_ context.Context, c *call) (*reply, error) {
	c.set("Content-Type", "text/plain")
	return &reply{status: http.StatusOK, body: []byte("OK")}, nil
}

// options tells the methods. Requests of browsers from other origins are not allowed yet.
func options(_ context.Context, c *call) (*reply, error) {
	allow := c.door.allowed(c.level, "")
	if c.has("Origin") && c.has("Access-Control-Request-Method") {
		return nil, refusal(http.StatusUnauthorized, "").carrying("Allow", allow)
	}
	c.set("Allow", allow)
	return empty(http.StatusOK), nil
}
