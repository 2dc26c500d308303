package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parsers of one value each. Their errors say what to write instead and are shown after the place and the key.

func parseText(what string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" || strings.ContainsFunc(s, control) {
			return "", fmt.Errorf("write the path of %s", what)
		}
		return s, nil
	}
}

func parseAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not an address; write host:port, for example 127.0.0.1:9000, [::1]:9000 or :9000", clip(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("%q is not a port; write a number from 0 to 65535, for example %s", clip(port), net.JoinHostPort(host, "9000"))
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !validDomain(strings.ToLower(host)) {
		return "", fmt.Errorf("%q is neither an IP address nor a host name; write for example 127.0.0.1:%s", clip(host), port)
	}
	return s, nil
}

func parseAddressOrOff(s string) (string, error) {
	if s == Off {
		return s, nil
	}
	return parseAddress(s)
}

func parseRegion(s string) (string, error) {
	ok := s != "" && len(s) <= 64
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if !ok {
		return "", fmt.Errorf("%q is not a region name; write letters, digits, '-' and '_', for example us-east-1", clip(s))
	}
	return s, nil
}

func parseRegionOrNone(s string) (string, error) {
	if s == "" {
		return s, nil
	}
	return parseRegion(s)
}

func parseDomain(s string) (string, error) {
	d := strings.ToLower(strings.TrimSuffix(s, "."))
	if !validDomain(d) {
		return "", fmt.Errorf("%q is not a domain; write a name without port or '*', for example s3.example.org", clip(s))
	}
	return d, nil
}

// validDomain follows RFC 1123, section 2.1; underscores pass too, since container networks use them.
func validDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func parseWord(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", fmt.Errorf("%q is none of the choices; write %s", clip(s), strings.Join(words, " or "))
	}
}

func parseHost(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err != nil && !validDomain(strings.ToLower(s)) {
		return "", fmt.Errorf("%q is neither an IP address nor a host name; the port is a setting of its own", clip(s))
	}
	return s, nil
}

// keyspaceMax is the longest name that Cassandra takes.
const keyspaceMax = 48

func parseKeyspace(s string) (string, error) {
	ok := s != "" && len(s) <= keyspaceMax && s[0] >= 'a' && s[0] <= 'z'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	}
	if !ok {
		return "", fmt.Errorf("%q is not a keyspace; write at most 48 lower-case letters, digits and '_', a letter first", clip(s))
	}
	return s, nil
}

func parseSwitch(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", clip(s))
}

func parsePlain(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, control) {
		return "", errors.New("write a word here, or leave the setting out")
	}
	return s, nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", clip(s))
}

func showBool(b bool) string { return strconv.FormatBool(b) }

func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the URL of a server; write for example https://vault.example.org:8200", clip(s))
	}
	return s, nil
}

// parseIdentityURL reads the address of an Identity API, which ends with its version.
func parseIdentityURL(s string) (string, error) {
	u, err := parseURL(s)
	if u = strings.TrimRight(u, "/"); err != nil || !strings.HasSuffix(u, "/v3") {
		return "", fmt.Errorf("%q is not the URL of an Identity API v3; write for example https://keystone.example.org:5000/v3", clip(s))
	}
	return u, nil
}

func parseLevel(s string) (slog.Level, error) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for _, l := range levels {
		if strings.EqualFold(s, l.String()) {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%q is not a level; write debug, info, warn or error", clip(s))
}

type unit struct {
	name  string
	bytes int64
}

// units of sizes, longest name first, so that "MiB" is found before "B".
func units() []unit {
	return []unit{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"PiB", 1 << 50},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"PB", 1e15},
		{"B", 1},
	}
}

// ParseSize reads a number of bytes: "1048576", "5GiB", "10 GB".
func ParseSize(s string) (int64, error) {
	number, factor := strings.TrimSpace(s), int64(1)
	for _, u := range units() {
		if len(number) > len(u.name) && strings.EqualFold(number[len(number)-len(u.name):], u.name) {
			number, factor = strings.TrimSpace(number[:len(number)-len(u.name)]), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/factor) {
		return 0, fmt.Errorf("%q is not a size; write a whole number of bytes or one with a unit, for example 512MiB, 10GiB or 1TB", clip(s))
	}
	return int64(n) * factor, nil
}

func parseSize(low, high int64) func(string) (int64, error) {
	return func(s string) (int64, error) {
		n, err := ParseSize(s)
		if err == nil && (n < low || n > high) {
			return 0, fmt.Errorf("%s is out of range; write a size from %s to %s", clip(s), showSize(low), showSize(high))
		}
		return n, err
	}
}

// showSize is the shortest exact form with a binary unit.
func showSize(n int64) string {
	us := units()
	for _, i := range []int{4, 3, 2, 1, 0} {
		if u := us[i]; n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func parseNumber(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%q will not do; write a number from %d to %d", clip(s), low, high)
		}
		return n, nil
	}
}

func showNumber(n int) string { return strconv.Itoa(n) }

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number; write for example 1000000, or 0 for no limit", clip(s))
	}
	return int64(n), nil
}

func showCount(n int64) string { return strconv.FormatInt(n, 10) }

// ParseDuration reads what time.ParseDuration does, and whole days: "90s", "15m", "24h", "7d".
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write for example 90s, 15m, 24h or 7d", clip(s))
	}
	return d, nil
}

func parseDuration(low, high time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := ParseDuration(s)
		if err == nil && (d < low || d > high) {
			return 0, fmt.Errorf("%s is out of range; write a duration from %s to %s", clip(s), showDuration(low), showDuration(high))
		}
		return d, err
	}
}

// showDuration drops the zero tail of time.Duration's form: "24h0m0s" is "24h".
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

// clip bounds a refused value before it goes into a message.
func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// parseExternal reads a URL of the service: scheme, host, perhaps a path.
func parseExternal(s string) (string, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.EscapedPath() != u.Path {
		return "", fmt.Errorf("%q is not an address of the service; write for example https://s3.example.org or https://example.org/storage", clip(s))
	}
	u.Host = strings.ToLower(u.Host)
	return u.String(), nil
}

// parseOrigin reads an address of the service that has no path; "" is none.
func parseOrigin(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	text, err := parseExternal(s)
	if u, bad := url.Parse(text); err == nil && (bad != nil || u.Path != "") {
		err = fmt.Errorf("%q has a path; write for example https://files.example.org", clip(s))
	}
	return text, err
}

// parseNetwork reads an address or a network.
func parseNetwork(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return s, nil
	}
	return "", fmt.Errorf("%q is neither an address nor a network; write for example 10.0.0.7 or 10.0.0.0/8", clip(s))
}

// parseCluster reads the name of a cluster of container sync, with its realm.
func parseCluster(s string) (string, error) {
	parts := strings.Split(strings.Trim(s, "/"), "/")
	if !strings.HasPrefix(s, "//") || len(parts) != 2 || parts[0] == "" || parts[1] == "" || strings.ContainsFunc(s, control) {
		return "", fmt.Errorf("%q is no cluster of a realm; write for example //realm1/cluster1", clip(s))
	}
	return "//" + strings.ToUpper(parts[0]+"/"+parts[1]), nil
}

// parseSyncHost reads a host, perhaps with a port.
func parseSyncHost(s string) (string, error) {
	if _, err := parseHost(s); err == nil {
		return strings.ToLower(s), nil
	}
	if _, err := parseAddress(s); err != nil || strings.HasPrefix(s, ":") {
		return "", fmt.Errorf("%q is neither a host nor a host with its port; write for example 10.0.0.7 or swift.example.org:8080", clip(s))
	}
	return strings.ToLower(s), nil
}
