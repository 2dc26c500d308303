package wire

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// TransactionID draws the id of an OpenStack request: "tx", 21 hexadecimal digits, "-", the time in ten hexadecimal digits, and, from the header
// X-Trans-Id-Extra, what the client wants to find again, at most 32 bytes of it.
func TransactionID(h http.Header, now time.Time) string {
	var raw [11]byte
	_, _ = rand.Read(raw[:]) // crypto/rand.Read never fails (Go 1.24)
	id := fmt.Sprintf("tx%s-%010x", hex.EncodeToString(raw[:])[:21], now.Unix())
	if extra := h.Get("X-Trans-Id-Extra"); extra != "" {
		id += "-" + url.QueryEscape(extra[:min(len(extra), 32)])
	}
	return id
}

// SetTransaction puts a transaction id under both of its names.
func SetTransaction(h http.Header, id string) {
	h["X-Trans-Id"] = []string{id}
	h["X-Openstack-Request-Id"] = []string{id}
}
