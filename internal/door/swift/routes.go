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

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}
