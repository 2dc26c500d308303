package s3

import (
	"context"
	"errors"
	"net/http"

	"pithos/internal/door/wire/sigv4"
	"pithos/internal/errs"
)

// code is an error code of S3.
type code string

// The codes that this door answers with (API Reference, "Error responses"). InsufficientStorage and QuotaExceeded
// are not AWS's, which knows neither state.
const (
	AccessDenied                  code = "AccessDenied"
	AccessForbidden               code = "AccessForbidden"
	AuthorizationHeaderMalformed  code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParameters  code = "AuthorizationQueryParametersError"
	BadDigest                     code = "BadDigest"
	BadRequest                    code = "BadRequest"
	BucketAlreadyExists           code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou       code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                code = "BucketNotEmpty"
	ConditionalRequestConflict    code = "ConditionalRequestConflict"
	ContentSHA256Mismatch         code = "XAmzContentSHA256Mismatch"
	EntityTooLarge                code = "EntityTooLarge"
	EntityTooSmall                code = "EntityTooSmall"
	IllegalLocationConstraint     code = "IllegalLocationConstraintException"
	UserKeyMustBeSpecified        code = "UserKeyMustBeSpecified"
	IllegalVersioning             code = "IllegalVersioningConfigurationException"
	IncompleteBody                code = "IncompleteBody"
	InsufficientStorage           code = "InsufficientStorage"
	InternalError                 code = "InternalError"
	InvalidAccessKeyID            code = "InvalidAccessKeyId"
	InvalidArgument               code = "InvalidArgument"
	InvalidChunkSize              code = "InvalidChunkSizeError"
	InvalidBucketName             code = "InvalidBucketName"
	InvalidBucketState            code = "InvalidBucketState"
	InvalidDigest                 code = "InvalidDigest"
	InvalidLocationConstraint     code = "InvalidLocationConstraint"
	InvalidObjectState            code = "InvalidObjectState"
	InvalidPart                   code = "InvalidPart"
	InvalidPartNumber             code = "InvalidPartNumber"
	InvalidPartOrder              code = "InvalidPartOrder"
	InvalidPolicyDocument         code = "InvalidPolicyDocument"
	InvalidRange                  code = "InvalidRange"
	InvalidRequest                code = "InvalidRequest"
	InvalidRetentionPeriod        code = "InvalidRetentionPeriod"
	InvalidSecurity               code = "InvalidSecurity"
	InvalidStorageClass           code = "InvalidStorageClass"
	InvalidTag                    code = "InvalidTag"
	InvalidTargetBucketForLogging code = "InvalidTargetBucketForLogging"
	InvalidToken                  code = "InvalidToken"
	InvalidURI                    code = "InvalidURI"
	KeyTooLong                    code = "KeyTooLongError"
	MalformedACL                  code = "MalformedACLError"
	MalformedPOSTRequest          code = "MalformedPOSTRequest"
	MalformedPolicy               code = "MalformedPolicy"
	PolicyTooLarge                code = "PolicyTooLarge"
	MalformedTrailer              code = "MalformedTrailerError"
	MalformedXML                  code = "MalformedXML"
	MaxMessageLengthExceeded      code = "MaxMessageLengthExceeded"
	MaxPostPreDataLength          code = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge              code = "MetadataTooLarge"
	MethodNotAllowed              code = "MethodNotAllowed"
	MissingAttachment             code = "MissingAttachment"
	MissingContentLength          code = "MissingContentLength"
	MissingRequestBody            code = "MissingRequestBodyError"
	MissingSecurityHeader         code = "MissingSecurityHeader"
	NoSuchBucket                  code = "NoSuchBucket"
	NoSuchBucketPolicy            code = "NoSuchBucketPolicy"
	NoSuchConfiguration           code = "NoSuchConfiguration"
	NoSuchCORSConfiguration       code = "NoSuchCORSConfiguration"
	NoSuchKey                     code = "NoSuchKey"
	NoSuchLifecycleConfiguration  code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLock              code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlock       code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                  code = "NoSuchTagSet"
	NoSuchUpload                  code = "NoSuchUpload"
	NoSuchVersion                 code = "NoSuchVersion"
	NoSuchWebsiteConfiguration    code = "NoSuchWebsiteConfiguration"
	NotImplemented                code = "NotImplemented"
	NotModified                   code = "NotModified"
	NotSignedUp                   code = "NotSignedUp"
	ObjectLockNotFound            code = "ObjectLockConfigurationNotFoundError"
	OperationAborted              code = "OperationAborted"
	OwnershipControlsNotFound     code = "OwnershipControlsNotFoundError"
	PreconditionFailed            code = "PreconditionFailed"
	QuotaExceeded                 code = "QuotaExceeded"
	ReplicationNotFound           code = "ReplicationConfigurationNotFoundError"
	RequestHeaderSectionTooLarge  code = "RequestHeaderSectionTooLarge"
	RequestTimeout                code = "RequestTimeout"
	RequestTimeTooSkewed          code = "RequestTimeTooSkewed"
	ServerSideEncryptionNotFound  code = "ServerSideEncryptionConfigurationNotFoundError"
	ServiceUnavailable            code = "ServiceUnavailable"
	SignatureDoesNotMatch         code = "SignatureDoesNotMatch"
	SlowDown                      code = "SlowDown"
	TooManyBuckets                code = "TooManyBuckets"
	UnresolvableGrantByEmail      code = "UnresolvableGrantByEmailAddress"
	AmbiguousGrantByEmail         code = "AmbiguousGrantByEmailAddress"
	AccessControlListNotSupported code = "AccessControlListNotSupported"
	InvalidBucketACLWithOwnership code = "InvalidBucketAclWithObjectOwnership"
	MissingRequestParameter       code = "MissingRequestParameter"
	InvalidEncryptionAlgorithm    code = "InvalidEncryptionAlgorithmError"
	KMSNotFound                   code = "KMS.NotFoundException"
	clientLeft                    code = "ClientDisconnected"
	PermanentRedirect             code = "PermanentRedirect"
)

// status is the HTTP status of the code.
func (c code) status() int {
	switch c {
	case NotModified:
		return http.StatusNotModified
	case PermanentRedirect:
		return http.StatusMovedPermanently
	case AccessDenied, AccessForbidden, InvalidAccessKeyID, InvalidChunkSize, InvalidObjectState, InvalidSecurity, NotSignedUp, QuotaExceeded,
		RequestTimeTooSkewed, SignatureDoesNotMatch:
		return http.StatusForbidden
	case NoSuchBucket, NoSuchBucketPolicy, NoSuchConfiguration, NoSuchCORSConfiguration, NoSuchKey, NoSuchLifecycleConfiguration, NoSuchObjectLock,
		NoSuchPublicAccessBlock, NoSuchTagSet, NoSuchUpload, NoSuchVersion, NoSuchWebsiteConfiguration, ObjectLockNotFound,
		OwnershipControlsNotFound, ReplicationNotFound, ServerSideEncryptionNotFound:
		return http.StatusNotFound
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketNotEmpty, ConditionalRequestConflict, InvalidBucketState, OperationAborted:
		return http.StatusConflict
	case MissingContentLength:
		return http.StatusLengthRequired
	case PreconditionFailed:
		return http.StatusPreconditionFailed
	case InvalidRange, InvalidPartNumber:
		return http.StatusRequestedRangeNotSatisfiable
	case InternalError:
		return http.StatusInternalServerError
	case NotImplemented:
		return http.StatusNotImplemented
	case ServiceUnavailable, SlowDown, InsufficientStorage:
		return http.StatusServiceUnavailable
	case clientLeft:
		return 499 // nobody sees it; nginx's word for the log
	}
	return http.StatusBadRequest
}

// message is the text of the code when the error brings none.
func (c code) message() string {
	if m, ok := messages[c]; ok {
		return m
	}
	return "The request cannot be served."
}

// messages is a table and never written.
var messages = map[code]string{
	AccessDenied:                  "Access Denied",
	AccessForbidden:               "Access to this resource is forbidden.",
	AuthorizationHeaderMalformed:  "The authorization header that you provided is not valid.",
	AuthorizationQueryParameters:  "The authorization query parameters that you provided are not valid.",
	BadDigest:                     "The Content-MD5 or checksum value that you specified did not match what the server received.",
	BadRequest:                    "The request cannot be understood.",
	BucketAlreadyExists:           "The requested bucket name is not available. Please select a different name and try again.",
	BucketAlreadyOwnedByYou:       "Your previous request to create the named bucket succeeded and you already own it.",
	BucketNotEmpty:                "The bucket you tried to delete is not empty.",
	ConditionalRequestConflict:    "A conflicting operation occurred during the request. Please try again.",
	ContentSHA256Mismatch:         "The provided 'x-amz-content-sha256' header does not match what was computed.",
	EntityTooLarge:                "Your proposed upload exceeds the maximum allowed object size.",
	EntityTooSmall:                "Your proposed upload is smaller than the minimum allowed object size.",
	UserKeyMustBeSpecified:        "The bucket POST must contain the specified field name. If it is specified, please check the order of the fields.",
	IllegalLocationConstraint:     "The specified location constraint is incompatible with the region that the request was sent to.",
	IllegalVersioning:             "The versioning configuration specified in the request is invalid.",
	IncompleteBody:                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
	InsufficientStorage:           "There is no space left to store new data. Reading and deleting still work.",
	InternalError:                 "We encountered an internal error. Please try again.",
	InvalidAccessKeyID:            "The access key id that you provided does not exist in our records.",
	InvalidArgument:               "Invalid Argument",
	InvalidChunkSize:              "Only the last chunk is allowed to have a size less than 8192 bytes",
	InvalidBucketName:             "The specified bucket is not valid.",
	InvalidBucketState:            "The request is not valid for the current state of the bucket.",
	InvalidDigest:                 "The Content-MD5 or checksum value that you specified is not valid.",
	InvalidLocationConstraint:     "The specified location constraint is not valid.",
	InvalidObjectState:            "The operation is not valid for the current state of the object.",
	InvalidPart:                   "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
	InvalidPartNumber:             "The requested partnumber is not satisfiable",
	InvalidPartOrder:              "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
	InvalidPolicyDocument:         "The content of the form does not meet the conditions specified in the policy document.",
	InvalidRange:                  "The requested range is not satisfiable",
	InvalidRequest:                "The request is not valid.",
	InvalidRetentionPeriod:        "The retention period you specified is not valid.",
	InvalidStorageClass:           "The storage class you specified is not valid.",
	InvalidTag:                    "The tag provided was not a valid tag.",
	InvalidTargetBucketForLogging: "The target bucket for logging does not exist, or is not owned by the same account.",
	InvalidToken:                  "The provided token is malformed or otherwise not valid.",
	InvalidURI:                    "Couldn't parse the specified URI.",
	KeyTooLong:                    "Your key is too long.",
	MalformedACL:                  "The XML you provided was not well-formed or did not validate against our published schema",
	MalformedPOSTRequest:          "The body of your POST request is not well-formed multipart/form-data.",
	MalformedPolicy:               "The policy is not in the valid JSON format.",
	PolicyTooLarge:                "Policy exceeds the maximum allowed document size.",
	MalformedTrailer:              "The request contained trailing data that was not well-formed or did not conform to our published schema.",
	MalformedXML:                  "The XML you provided was not well-formed or did not validate against our published schema",
	MaxMessageLengthExceeded:      "Your request was too large.",
	MaxPostPreDataLength:          "Your POST request fields preceding the upload file were too large.",
	MetadataTooLarge:              "Your metadata headers exceed the maximum allowed metadata size.",
	MethodNotAllowed:              "The specified method is not allowed against this resource.",
	MissingContentLength:          "You must provide the Content-Length HTTP header.",
	MissingRequestBody:            "Request Body is empty",
	MissingSecurityHeader:         "Your request is missing a required header.",
	NoSuchBucket:                  "The specified bucket does not exist",
	NoSuchBucketPolicy:            "The bucket policy does not exist",
	NoSuchConfiguration:           "The specified configuration does not exist.",
	NoSuchCORSConfiguration:       "The CORS configuration does not exist",
	NoSuchKey:                     "The specified key does not exist.",
	NoSuchLifecycleConfiguration:  "The lifecycle configuration does not exist",
	NoSuchObjectLock:              "The specified object does not have an object lock configuration.",
	NoSuchPublicAccessBlock:       "The public access block configuration was not found",
	NoSuchTagSet:                  "The TagSet does not exist",
	NoSuchUpload:                  "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
	NoSuchVersion:                 "The specified version does not exist.",
	NoSuchWebsiteConfiguration:    "The specified bucket does not have a website configuration",
	NotImplemented:                "A header or parameter that you provided implies functionality that is not implemented.",
	ObjectLockNotFound:            "Object Lock configuration does not exist for this bucket",
	OperationAborted:              "A conflicting conditional operation is currently in progress against this resource. Please try again.",
	OwnershipControlsNotFound:     "The bucket ownership controls were not found",
	PreconditionFailed:            "At least one of the pre-conditions you specified did not hold",
	QuotaExceeded:                 "The quota of the account or bucket would be exceeded.",
	ReplicationNotFound:           "The replication configuration was not found",
	RequestHeaderSectionTooLarge:  "Your request headers exceed the maximum allowed size.",
	RequestTimeout:                "Your socket connection to the server was not read from or written to within the timeout period.",
	RequestTimeTooSkewed:          "The difference between the request time and the server's time is too large.",
	ServerSideEncryptionNotFound:  "The server side encryption configuration was not found",
	ServiceUnavailable:            "Service is unable to handle the request. Please try again.",
	SignatureDoesNotMatch:         "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
	SlowDown:                      "Please reduce your request rate.",
	TooManyBuckets:                "You have attempted to create more buckets than are allowed.",
	UnresolvableGrantByEmail:      "The email address that you provided does not match any account on record.",
	AmbiguousGrantByEmail:         "The email address that you provided is associated with more than one account.",
	AccessControlListNotSupported: "The bucket does not allow ACLs",
	InvalidBucketACLWithOwnership: "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
	MissingRequestParameter:       "Your request is missing a required parameter.",
	InvalidEncryptionAlgorithm:    "The encryption request that you specified is not valid. The valid value is AES256.",
	KMSNotFound:                   "The encryption key that the request names does not exist.",
}

// codeOf is the one table from the backend's errors to S3's codes. It covers every kind.
func codeOf(e *errs.Error) code {
	//exhaustive:enforce
	switch e.Kind {
	case errs.Internal, errs.Corrupt:
		return InternalError
	case errs.Invalid:
		return codeOfInvalid(e)
	case errs.Unauthenticated:
		if e.Thing == errs.Key {
			return InvalidAccessKeyID
		}
		return AccessDenied
	case errs.Denied:
		return AccessDenied
	case errs.NotFound:
		return codeOfNotFound(e.Thing)
	case errs.Exists:
		switch e.Thing {
		case errs.Bucket:
			return BucketAlreadyExists
		case errs.Container:
			return BucketAlreadyOwnedByYou
		}
		return OperationAborted
	case errs.NotEmpty:
		return BucketNotEmpty
	case errs.Conflict:
		return OperationAborted
	case errs.Precondition:
		return PreconditionFailed
	case errs.NotModified:
		return NotModified
	case errs.Range:
		return InvalidRange
	case errs.TooLarge:
		switch e.Reason {
		case errs.MetaTooLarge:
			return MetadataTooLarge
		case errs.NameTooLong:
			return KeyTooLong
		}
		return EntityTooLarge
	case errs.Quota:
		return QuotaExceeded
	case errs.Unsupported:
		return NotImplemented
	case errs.Busy:
		return SlowDown
	case errs.Ambiguous, errs.Closed:
		return ServiceUnavailable
	case errs.Canceled:
		return clientLeft
	case errs.Full:
		return InsufficientStorage
	}
	return InternalError
}

func codeOfInvalid(e *errs.Error) code {
	switch e.Reason {
	case errs.BadDigest:
		return BadDigest
	case errs.BadSHA256:
		return ContentSHA256Mismatch
	case errs.IncompleteBody, errs.ExcessBody:
		return IncompleteBody
	case errs.PartOrder:
		return InvalidPartOrder
	case errs.PartMissing:
		return InvalidPart
	case errs.PartTooSmall:
		return EntityTooSmall
	case errs.PartNumber:
		return InvalidArgument
	case errs.BadName, errs.BadRegion:
		return codeOfBadName(e)
	case errs.NameTooLong:
		return KeyTooLong
	case errs.MetaTooLarge:
		return MetadataTooLarge
	case errs.EntityTooLarge:
		return EntityTooLarge
	case errs.BadSyntax:
		return MalformedXML
	case errs.BadPolicy:
		return MalformedPolicy
	case errs.BadState:
		if e.Thing == errs.Bucket || e.Thing == errs.Container {
			return InvalidBucketState
		}
		return InvalidRequest
	case errs.SelfCopy, errs.BadSource, errs.ChecksumType, errs.SizeDiffers, errs.KeyRequired, errs.KeyMismatch, errs.KeyUnwanted, errs.KeyLost:
		return InvalidRequest
	case errs.SlowBody:
		return RequestTimeout
	case errs.MarkerTarget:
		return MethodNotAllowed
	case errs.Locked:
		return AccessDenied
	case errs.ACLsDisabled:
		return AccessControlListNotSupported
	case errs.ACLsInTheWay:
		return InvalidBucketACLWithOwnership
	case errs.Broken:
		return InvalidObjectState
	}
	if e.Thing == errs.Request {
		return InvalidRequest
	}
	return InvalidArgument
}

func codeOfBadName(e *errs.Error) code {
	switch {
	case e.Reason == errs.BadRegion:
		return InvalidLocationConstraint
	case e.Thing == errs.Bucket, e.Thing == errs.Container:
		return InvalidBucketName
	case e.Thing == errs.Object:
		return InvalidURI
	}
	return InvalidArgument
}

func codeOfNotFound(t errs.Thing) code {
	switch t {
	case errs.Bucket, errs.Container:
		return NoSuchBucket
	case errs.Object:
		return NoSuchKey
	case errs.Version:
		return NoSuchVersion
	case errs.Upload:
		return NoSuchUpload
	case errs.Part:
		return InvalidPart
	case errs.Config:
		return NoSuchConfiguration
	case errs.Key:
		return InvalidAccessKeyID
	case errs.Account, errs.User:
		return InvalidArgument
	case errs.SealKey:
		return KMSNotFound
	case errs.NoThing, errs.Block, errs.Holder, errs.Request, errs.Store:
		return InternalError // a block that a version names must exist
	}
	return InternalError
}

// fault is an error in S3's own words, for what the door itself finds wrong.
type fault struct {
	code   code
	msg    string
	detail []detail // further elements of the error document
	header http.Header
	cause  error // for the log
}

// detail is an element of an error document.
type detail struct{ name, value string }

// fail makes an error with S3's code; msg "" takes the code's own message.
func fail(c code, msg string) *fault { return &fault{code: c, msg: msg} }

// badArgument is InvalidArgument about a parameter or header.
func badArgument(name, value, msg string) *fault {
	return fail(InvalidArgument, msg).with("ArgumentName", name).with("ArgumentValue", clip(value))
}

// with adds an element to the error document and returns f.
func (f *fault) with(name, value string) *fault {
	f.detail = append(f.detail, detail{name, value})
	return f
}

// carrying adds a header, name in canonical form, to the answer and returns f.
func (f *fault) carrying(name, value string) *fault {
	if value == "" {
		return f
	}
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header[name] = []string{value}
	return f
}

// because sets the cause and returns f.
func (f *fault) because(err error) *fault {
	f.cause = err
	return f
}

func (f *fault) Error() string {
	s := string(f.code)
	if f.msg != "" {
		s += ": " + f.msg
	}
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

func (f *fault) Unwrap() error { return f.cause }

// faultOf says any error in S3's words.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) {
			return fail(clientLeft, "").because(err)
		}
		return fail(InternalError, "").because(err)
	}
	var unsigned *sigv4.Error
	if errors.As(err, &unsigned) {
		f = fail(code(unsigned.Code), unsigned.Message).because(err)
		for _, field := range unsigned.Fields {
			f = f.with(field.Name, field.Value)
		}
		return f
	}
	f = fail(codeOf(e), "").because(err)
	if f.code != InternalError && f.code != AccessDenied || e.Reason == errs.KeyLost {
		f.msg = e.Msg
	}
	return f
}
