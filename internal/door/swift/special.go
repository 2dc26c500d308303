package swift

import (
	"mime"
	"net/http"
	"strings"
)

// special is an operation that a request asks for by more than its method and level.
type special struct {
	row
	asked func(c *call) bool
}

// specials lists them; the first that is asked for is done in place of what the method says.
func specials() []special {
	var list []special
	for l := accountLevel; l <= objectLevel; l++ {
		list = append(list,
			special{row{"ExtractArchive", http.MethodPut, l, "", extractArchive}, func(c *call) bool { return c.query.Has("extract-archive") }},
			special{row{"BulkDelete", http.MethodPost, l, "", bulkDelete}, func(c *call) bool { return c.query.Has("bulk-delete") }},
			special{row{"BulkDelete", http.MethodDelete, l, "", bulkDelete}, func(c *call) bool { return c.query.Has("bulk-delete") }},
			special{row{"FormPost", http.MethodPost, l, "", formPost}, isForm},
		)
	}
	return list
}

// isForm tells whether the body is the form of a browser.
func isForm(c *call) bool { return formBoundary(c) != "" }

func formBoundary(c *call) string {
	if text := c.h("Content-Type"); strings.HasPrefix(strings.ToLower(text), "multipart/form-data") {
		if _, params, err := mime.ParseMediaType(text); err == nil {
			return params["boundary"]
		}
	}
	return ""
}
