package identity

import (
	"net/http"

	"pithos/internal/naming"
)

// The version of the Identity API that is told, and the day of its last change: those of Keystone's own.
const (
	versionID   = "v3.14"
	versionDate = "2020-04-07T00:00:00Z"
)

type object = map[string]any

// version is the document of the one version that there is.
func (c *call) version() object {
	return object{
		"id": versionID, "status": "stable", "updated": versionDate,
		"links":       []object{{"rel": "self", "href": c.base + "/"}},
		"media-types": []object{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func (c *call) listVersions() (*reply, error) {
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		c.w.Header()["Allow"] = []string{http.MethodGet}
		return nil, refusal(http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
	}
	return &reply{
		status: http.StatusMultipleChoices, doc: object{"versions": object{"values": []object{c.version()}}},
		header: map[string]string{"Location": c.base + "/"},
	}, nil
}

func (c *call) showVersion() (*reply, error) { return ok(object{"version": c.version()}) }

// endpoint is where a service answers.
type endpoint struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	URL       string `json:"url"`

	ServiceID string `json:"service_id,omitempty"`
	Enabled   bool   `json:"enabled,omitempty"`
}

// service is an entry of the catalogue.
type service struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Endpoints []endpoint `json:"endpoints"`
}

// catalogue tells where the services are for a project; for none, object storage is left out.
func (c *call) catalogue(project naming.AccountID) []service {
	identity := c.service("identity", "keystone", c.base)
	if project == "" {
		return []service{identity}
	}
	return []service{identity, c.service("object-store", "swift", storageURL(c.r, project))}
}

func (c *call) service(kind, name, address string) service {
	s := service{ID: name, Type: kind, Name: name}
	for _, side := range []string{"public", "internal", "admin"} {
		s.Endpoints = append(s.Endpoints, endpoint{ID: name + "-" + side, Interface: side, Region: c.d.o.Region, RegionID: c.d.o.Region, URL: address})
	}
	return s
}

// self is the address of the request, without its query.
func (c *call) self() string {
	at := c.base
	for _, part := range c.parts {
		at += "/" + escape(part)
	}
	return at
}

// list is a collection as Keystone shows it.
func (c *call) list(name string, items any) (*reply, error) {
	return ok(object{name: items, "links": object{"self": c.self(), "previous": nil, "next": nil}})
}

func (c *call) showCatalogue() (*reply, error) {
	if c.bearer.scope == unscoped {
		return nil, refusal(http.StatusForbidden, "The token is for no project.")
	}
	return c.list("catalog", c.catalogue(c.bearer.target.ID))
}

func (c *call) listRegions() (*reply, error) {
	at := object{"self": c.base + "/regions/" + escape(c.d.o.Region)}
	return c.list("regions", []object{{"id": c.d.o.Region, "description": "", "parent_region_id": nil, "links": at}})
}

func (c *call) listServices() (*reply, error) {
	items := []object{}
	for _, s := range c.catalogue(c.who.Account) {
		if c.wants("type", s.Type) && c.wants("name", s.Name) {
			items = append(items, object{"id": s.ID, "type": s.Type, "name": s.Name, "enabled": true, "links": object{"self": c.base + "/services/" + s.ID}})
		}
	}
	return c.list("services", items)
}

func (c *call) listEndpoints() (*reply, error) {
	items := []endpoint{}
	for _, s := range c.catalogue(c.who.Account) {
		for _, e := range s.Endpoints {
			if c.wants("interface", e.Interface) && c.wants("service_id", s.ID) && c.wants("region_id", e.Region) {
				e.ServiceID, e.Enabled = s.ID, true
				items = append(items, e)
			}
		}
	}
	return c.list("endpoints", items)
}
