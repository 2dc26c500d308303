package swift

import (
	"context"
	"net/http"
)

// level is what a request's path names.
type level uint8

const (
	serviceLevel level = iota
	accountLevel
	containerLevel
	objectLevel
)

func (l level) String() string { return [...]string{"service", "account", "container", "object"}[l] }

// handler serves one operation.
type handler func(ctx context.Context, c *call) (*reply, error)

// row is one operation. Router, metric labels and the check that every operation has an end-to-end test come from the rows.
type row struct {
	op     string
	method string
	level  level
	path   string // of the service level
	handle handler
}

// copyMethod is Swift's own method.
const copyMethod = "COPY"

// rows lists every operation that is served.
func rows() []row {
	return []row{
		{"Info", http.MethodGet, serviceLevel, "/info", getInfo},
		{"HeadInfo", http.MethodHead, serviceLevel, "/info", getInfo},
		{"Healthcheck", http.MethodGet, serviceLevel, "/healthcheck", getHealth},
		{"OptionsInfo", http.MethodOptions, serviceLevel, "/info", options},
		{"Crossdomain", http.MethodGet, serviceLevel, "/crossdomain.xml", getCrossdomain},
		{"HeadHealthcheck", http.MethodHead, serviceLevel, "/healthcheck", getHealth},

		{"GetAccount", http.MethodGet, accountLevel, "", getAccount},
		{"HeadAccount", http.MethodHead, accountLevel, "", getAccount},
		{"PostAccount", http.MethodPost, accountLevel, "", postAccount},
		{"OptionsAccount", http.MethodOptions, accountLevel, "", options},

		{"GetContainer", http.MethodGet, containerLevel, "", getContainer},
		{"HeadContainer", http.MethodHead, containerLevel, "", getContainer},
		{"PutContainer", http.MethodPut, containerLevel, "", putContainer},
		{"PostContainer", http.MethodPost, containerLevel, "", postContainer},
		{"DeleteContainer", http.MethodDelete, containerLevel, "", deleteContainer},
		{"OptionsContainer", http.MethodOptions, containerLevel, "", options},

		{"GetObject", http.MethodGet, objectLevel, "", getObject},
		{"HeadObject", http.MethodHead, objectLevel, "", getObject},
		{"PutObject", http.MethodPut, objectLevel, "", putObject},
		{"PostObject", http.MethodPost, objectLevel, "", postObject},
		{"DeleteObject", http.MethodDelete, objectLevel, "", deleteObject},
		{"CopyObject", copyMethod, objectLevel, "", copyObject},
		{"OptionsObject", http.MethodOptions, objectLevel, "", options},
	}
}

// unserved are features of Swift that this door knows and does not serve yet: query parameters and request headers that select them. A
// value of nil is any; others are the values that are refused.
var unservedQuery = map[string][]string{ // a table, never written
}

var unservedHeaders = []string{ // a table, never written
	"X-Container-Sync-To", "X-Container-Sync-Key",
}

// checkServed refuses a request that asks for what is not served: done without it, it would do something else than was asked.
func (c *call) checkServed() error {
	for name, values := range c.query {
		refused, known := unservedQuery[name]
		if !known || len(values) == 0 {
			continue
		}
		for _, v := range values {
			if refused == nil || contains(refused, v) {
				return refusal(http.StatusNotImplemented, "The parameter "+name+" is not served here.")
			}
		}
	}
	for _, name := range unservedHeaders {
		if c.h(name) != "" {
			return refusal(http.StatusNotImplemented, "The header "+name+" is not served here.")
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}
