package swift

import (
	"context"
	"net/http"
	"strings"

	"pithos/internal/access"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
)

// Documents of a container with its archive: the container that replaced and deleted objects go to, and how. This is Swift's older way to keep
// versions, beside that of the container itself.
const (
	archiveDocument = "swift-archive"
	historyDocument = "swift-archive-history" // present: X-History-Location; absent: X-Versions-Location
)

// versioningChange reads what a request changes of how a container keeps versions; nil for nothing.
func (c *call) versioningChange() (func(cfg *bucket.Config) error, error) {
	archive, err := c.archiveChange()
	if err != nil {
		return nil, err
	}
	enabled := c.has("X-Versions-Enabled")
	if !enabled && archive == nil {
		return nil, nil
	}
	on := flag(c.h("X-Versions-Enabled"))
	return func(cfg *bucket.Config) error {
		if archive != nil {
			archive(cfg)
		}
		if len(cfg.Documents[archiveDocument]) > 0 {
			if enabled {
				return bad("Cannot enable object versioning on a container that is already using the legacy versioned writes feature.")
			}
			if archive != nil && cfg.Versioning == bucket.VersioningEnabled {
				return bad("Cannot use the legacy versioned writes feature on a container that keeps versions.")
			}
		}
		switch {
		case !enabled:
		case on:
			cfg.Versioning = bucket.VersioningEnabled
		case cfg.Versioning == bucket.VersioningEnabled:
			cfg.Versioning = bucket.VersioningSuspended
		}
		return nil
	}, nil
}

// archiveChange reads X-Versions-Location and X-History-Location.
func (c *call) archiveChange() (func(cfg *bucket.Config), error) {
	stack, history := c.h("X-Versions-Location"), c.h("X-History-Location")
	if stack != "" && history != "" {
		return nil, bad("Only one of x-versions-location or x-history-location may be specified")
	}
	location := stack + history
	if location == "" {
		removed := c.h("X-Remove-Versions-Location") != "" || c.h("X-Remove-History-Location") != ""
		if !removed && !c.has("X-Versions-Location") && !c.has("X-History-Location") {
			return nil, nil
		}
		return func(cfg *bucket.Config) {
			delete(cfg.Documents, archiveDocument)
			delete(cfg.Documents, historyDocument)
		}, nil
	}
	name := unescape(location)
	if name == "" || strings.Contains(name, "/") {
		return nil, refusal(http.StatusPreconditionFailed, "Container name cannot contain slashes")
	}
	if _, err := naming.ParseContainer(name); err != nil {
		return nil, refusal(http.StatusPreconditionFailed, "").because(err)
	}
	return func(cfg *bucket.Config) {
		cfg.Documents[archiveDocument] = []byte(location)
		delete(cfg.Documents, historyDocument)
		if history != "" {
			cfg.Documents[historyDocument] = []byte("1")
		}
	}, nil
}

// showVersioning sets the headers that tell how a container keeps versions.
func (c *call) showVersioning(container *bucket.Container) {
	switch container.Config.Versioning {
	case bucket.VersioningEnabled:
		c.set("X-Versions-Enabled", "True")
	case bucket.VersioningSuspended:
		c.set("X-Versions-Enabled", "False")
	case bucket.VersioningOff:
	}
	if location := string(container.Config.Documents[archiveDocument]); location != "" {
		header := "X-Versions-Location"
		if _, history := container.Config.Documents[historyDocument]; history {
			header = "X-History-Location"
		}
		c.set(header, location)
	}
}

// keepsVersions tells whether the container ever kept versions, to who may delete it.
func (c *call) keepsVersions(ctx context.Context) bool {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), access.DeleteBucket)
	return err == nil && container.Config.Versioning != bucket.VersioningOff
}

// versioning is how the container keeps versions, to who may delete objects in it.
func (c *call) versioning(ctx context.Context) bucket.Versioning {
	container, err := c.door.b.Container(ctx, c.caller, c.ref(), access.DeleteObject)
	if err != nil {
		return bucket.VersioningOff
	}
	return container.Config.Versioning
}
