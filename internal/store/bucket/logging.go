package bucket

import (
	"encoding/json"
	"fmt"

	"pithos/internal/access"
	"pithos/internal/naming"
)

// LoggingDocument names the document of a container that says where the records of access to it go: a Logging, as Encode writes it.
const LoggingDocument = "access-log"

// Logging says where the records of access to a container go. The target belongs to the same account.
type Logging struct {
	Target    naming.BucketName `json:"target"`
	Prefix    string            `json:"prefix,omitempty"` // of the names of the objects that hold records
	Partition Partition         `json:"partition,omitempty"`
	Grants    []access.Grant    `json:"grants,omitempty"` // of these objects
}

// Partition says how the names of objects with records go on behind the prefix (S3 User Guide, "Log object key format").
type Partition string

// The forms of names.
const (
	NoPartition         Partition = ""         // the time of delivery
	PartitionByEvent    Partition = "event"    // account, region, bucket and the day of the records
	PartitionByDelivery Partition = "delivery" // account, region, bucket and the day of delivery
)

// Encode is the document.
func (l *Logging) Encode() ([]byte, error) { return json.Marshal(l) }

// DecodeLogging reads the document.
func DecodeLogging(raw []byte) (Logging, error) {
	var l Logging
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("where records of access go cannot be read: %w", err)
	}
	return l, nil
}
