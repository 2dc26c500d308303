package access

// Actions on what hangs on buckets and objects: tags, locks, lifecycle. Where the text of an action names versions, it is what a request with a
// version id needs in place of the plain one (Service Authorization Reference, "Actions defined by Amazon S3").
const (
	GetBucketTagging           Action = "s3:GetBucketTagging"
	PutBucketTagging           Action = "s3:PutBucketTagging"
	GetObjectTagging           Action = "s3:GetObjectTagging"
	GetObjectVersionTagging    Action = "s3:GetObjectVersionTagging"
	PutObjectTagging           Action = "s3:PutObjectTagging"
	PutObjectVersionTagging    Action = "s3:PutObjectVersionTagging"
	DeleteObjectTagging        Action = "s3:DeleteObjectTagging"
	DeleteObjectVersionTagging Action = "s3:DeleteObjectVersionTagging"
	GetObjectLockConfiguration Action = "s3:GetBucketObjectLockConfiguration"
	PutObjectLockConfiguration Action = "s3:PutBucketObjectLockConfiguration"
	GetObjectRetention         Action = "s3:GetObjectRetention"
	PutObjectRetention         Action = "s3:PutObjectRetention"
	GetObjectLegalHold         Action = "s3:GetObjectLegalHold"
	PutObjectLegalHold         Action = "s3:PutObjectLegalHold"
	GetLifecycleConfiguration  Action = "s3:GetLifecycleConfiguration"
	PutLifecycleConfiguration  Action = "s3:PutLifecycleConfiguration"
	PutEncryptionConfiguration Action = "s3:PutEncryptionConfiguration"
)
