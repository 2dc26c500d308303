package pithos

import (
	"context"
	"net/http"
	"strings"
)

// level is what a request's path names.
type level uint8

const (
	topLevel level = iota
	accountLevel
	containerLevel
	objectLevel
	publicLevel
	viewLevel
	identityLevel
)

func (l level) String() string {
	return [...]string{"top", "account", "container", "object", "public", "view", "identity"}[l]
}

// handler serves one operation.
type handler func(ctx context.Context, c *call) (*reply, error)

// row is one operation. Router, metric labels, the Allow header and the check that every operation has an end-to-end test come from the rows.
type row struct {
	op     string
	method string
	level  level
	format format // when the request asks for none
	open   bool   // asks for no token
	handle handler
	path   string // of the identity level; one that ends in "/" stands for what lies below
}

// serves tells whether the row is for a path of its level.
func (r *row) serves(path string) bool {
	return r.level != identityLevel || r.path == path || strings.HasSuffix(r.path, "/") && strings.HasPrefix(path, r.path)
}

// Methods that HTTP's own specification does not have.
const (
	copyMethod = "COPY"
	moveMethod = "MOVE"
)

// rows lists every operation that is served, in the order in which the Allow header names methods.
func rows() []row {
	return []row{
		{"Top", http.MethodGet, topLevel, textFormat, true, getTop, ""},

		{"HeadAccount", http.MethodHead, accountLevel, textFormat, false, getAccount, ""},
		{"PostAccount", http.MethodPost, accountLevel, jsonFormat, false, postAccount, ""},
		{"GetAccount", http.MethodGet, accountLevel, textFormat, false, getAccount, ""},

		{"HeadContainer", http.MethodHead, containerLevel, textFormat, false, getContainer, ""},
		{"PutContainer", http.MethodPut, containerLevel, jsonFormat, false, putContainer, ""},
		{"PostContainer", http.MethodPost, containerLevel, jsonFormat, false, postContainer, ""},
		{"DeleteContainer", http.MethodDelete, containerLevel, jsonFormat, false, deleteContainer, ""},
		{"GetContainer", http.MethodGet, containerLevel, textFormat, false, getContainer, ""},

		{"HeadObject", http.MethodHead, objectLevel, jsonFormat, false, getObject, ""},
		{"GetObject", http.MethodGet, objectLevel, jsonFormat, false, getObject, ""},
		{"PutObject", http.MethodPut, objectLevel, jsonFormat, false, putObject, ""},
		{"CopyObject", copyMethod, objectLevel, jsonFormat, false, copyObject, ""},
		{"MoveObject", moveMethod, objectLevel, jsonFormat, false, copyObject, ""},
		{"PostObject", http.MethodPost, objectLevel, jsonFormat, false, postObject, ""},
		{"DeleteObject", http.MethodDelete, objectLevel, jsonFormat, false, deleteObject, ""},

		{"HeadPublic", http.MethodHead, publicLevel, jsonFormat, true, getPublic, ""},
		{"GetPublic", http.MethodGet, publicLevel, jsonFormat, true, getPublic, ""},

		{"SignIn", http.MethodPost, identityLevel, jsonFormat, true, postTokens, identityBase + "/tokens"},
		{"CheckToken", http.MethodGet, identityLevel, jsonFormat, true, getToken, identityBase + "/tokens/"},
		{"UserCatalogs", http.MethodPost, identityLevel, jsonFormat, false, postCatalogs, accountBase + "/user_catalogs"},
		{"Quotas", http.MethodGet, identityLevel, jsonFormat, false, getQuotas, accountBase + "/quotas"},
		{"Projects", http.MethodGet, identityLevel, jsonFormat, false, getProjects, accountBase + "/projects"},
		{"Project", http.MethodGet, identityLevel, jsonFormat, false, getProject, accountBase + "/projects/"},
		{"Authorize", http.MethodGet, identityLevel, jsonFormat, true, getOAuth, oauthPath},

		{"GetView", http.MethodGet, viewLevel, jsonFormat, true, getView, ""},
		{"HeadView", http.MethodHead, viewLevel, jsonFormat, true, getView, ""},
	}
}
