package s3

// serviceRows are the operations on the service.
func serviceRows() []row {
	return []row{
		{op: "ListBuckets", method: get, level: serviceLevel, action: "s3:ListAllMyBuckets", query: "max-buckets continuation-token prefix bucket-region", state: served, handle: listBuckets},
		{op: "ListDirectoryBuckets", method: get, level: serviceLevel, marker: "x-id=ListDirectoryBuckets", action: "s3express:ListAllMyDirectoryBuckets", note: "there are no directory buckets"},
		{op: "WriteGetObjectResponse", method: post, level: serviceLevel, action: "s3-object-lambda:WriteGetObjectResponse", note: "there is no Object Lambda"},
	}
}

// bucketRows are the operations on a bucket.
func bucketRows() []row {
	const b = bucketLevel
	later := "comes with the complete S3 door"
	never := "table services of AWS are out of scope"
	return []row{
		{op: "CreateBucket", method: put, level: b, action: "s3:CreateBucket", state: served, handle: createBucket},
		{op: "HeadBucket", method: head, level: b, action: "s3:ListBucket", state: served, handle: headBucket},
		{op: "DeleteBucket", method: remove, level: b, action: "s3:DeleteBucket", state: served, handle: deleteBucket},
		// bucket, key and etag are what PostObject adds to the address that a form redirects to, which may be here.
		{op: "ListObjects", method: get, level: b, action: "s3:ListBucket", query: "prefix delimiter max-keys encoding-type marker bucket key etag", state: served, handle: listObjects},
		{op: "ListObjectsV2", method: get, level: b, marker: "list-type=2", action: "s3:ListBucket", query: "prefix delimiter max-keys encoding-type continuation-token start-after fetch-owner", state: served, handle: listObjectsV2},
		{op: "ListObjectVersions", method: get, level: b, marker: "versions", action: "s3:ListBucketVersions", query: "prefix delimiter max-keys encoding-type key-marker version-id-marker", state: served, handle: listObjectVersions},
		{op: "GetBucketLocation", method: get, level: b, marker: "location", action: "s3:GetBucketLocation", state: served, handle: getBucketLocation},
		{op: "GetBucketVersioning", method: get, level: b, marker: "versioning", action: "s3:GetBucketVersioning", state: served, handle: getBucketVersioning},
		{op: "PutBucketVersioning", method: put, level: b, marker: "versioning", action: "s3:PutBucketVersioning", state: served, handle: putBucketVersioning},
		{op: "GetBucketAcl", method: get, level: b, marker: "acl", action: "s3:GetBucketAcl", state: served, handle: getBucketACL},
		{op: "PutBucketAcl", method: put, level: b, marker: "acl", action: "s3:PutBucketAcl", state: served, handle: putBucketACL},
		{op: "GetBucketOwnershipControls", method: get, level: b, marker: "ownershipControls", action: "s3:GetBucketOwnershipControls", state: served, handle: getBucketOwnershipControls},
		{op: "PutBucketOwnershipControls", method: put, level: b, marker: "ownershipControls", action: "s3:PutBucketOwnershipControls", state: served, handle: putBucketOwnershipControls},
		{op: "DeleteBucketOwnershipControls", method: remove, level: b, marker: "ownershipControls", action: "s3:PutBucketOwnershipControls", state: served, handle: deleteBucketOwnershipControls},
		{op: "ListMultipartUploads", method: get, level: b, marker: "uploads", action: "s3:ListBucketMultipartUploads", query: "prefix delimiter key-marker upload-id-marker max-uploads encoding-type", state: served, handle: listMultipartUploads},
		{op: "DeleteObjects", method: post, level: b, marker: "delete", action: "s3:DeleteObject", state: served, handle: deleteObjects},
		{op: "PostObject", method: post, level: b, action: "s3:PutObject", state: served, handle: postObject, note: "a browser's upload form"},
		{op: "OptionsBucket", method: "OPTIONS", level: b, state: served, handle: preflight, note: "CORS preflight"},

		// Nothing of the following can be configured yet.
		{op: "GetBucketAbac", method: get, level: b, marker: "abac", action: "s3:GetBucketABAC", state: served, handle: getBucketAbac, note: "always Disabled"},
		{op: "PutBucketAbac", method: put, level: b, marker: "abac", action: "s3:PutBucketABAC", note: "policies do not see tags of buckets"},
		{op: "GetBucketAccelerateConfiguration", method: get, level: b, marker: "accelerate", action: "s3:GetAccelerateConfiguration", state: served, handle: getBucketAccelerate},
		{op: "PutBucketAccelerateConfiguration", method: put, level: b, marker: "accelerate", action: "s3:PutAccelerateConfiguration", state: served, handle: putBucketAccelerate, note: "Suspended only; there is no acceleration: Enabled is answered with 501"},
		{op: "GetBucketCors", method: get, level: b, marker: "cors", action: "s3:GetBucketCORS", state: served, handle: getBucketCORS},
		{op: "PutBucketCors", method: put, level: b, marker: "cors", action: "s3:PutBucketCORS", state: served, handle: putBucketCORS},
		{op: "DeleteBucketCors", method: remove, level: b, marker: "cors", action: "s3:PutBucketCORS", state: served, handle: deleteBucketCORS},
		{op: "GetBucketEncryption", method: get, level: b, marker: "encryption", action: "s3:GetEncryptionConfiguration", state: served, handle: getBucketEncryption},
		{op: "PutBucketEncryption", method: put, level: b, marker: "encryption", action: "s3:PutEncryptionConfiguration", state: served, handle: putBucketEncryption, note: "without dual-layer encryption"},
		{op: "DeleteBucketEncryption", method: remove, level: b, marker: "encryption", action: "s3:PutEncryptionConfiguration", state: served, handle: deleteBucketEncryption},
		{op: "GetBucketLifecycleConfiguration", method: get, level: b, marker: "lifecycle", action: "s3:GetLifecycleConfiguration", state: served, handle: getBucketLifecycle},
		{op: "PutBucketLifecycleConfiguration", method: put, level: b, marker: "lifecycle", action: "s3:PutLifecycleConfiguration", state: served, handle: putBucketLifecycle, note: "without transitions: there is one tier of storage"},
		{op: "DeleteBucketLifecycle", method: remove, level: b, marker: "lifecycle", action: "s3:PutLifecycleConfiguration", state: served, handle: deleteBucketLifecycle},
		{op: "GetBucketLogging", method: get, level: b, marker: "logging", action: "s3:GetBucketLogging", state: served, handle: getBucketLogging},
		{op: "PutBucketLogging", method: put, level: b, marker: "logging", action: "s3:PutBucketLogging", state: served, handle: putBucketLogging, note: "records are delivered by the service itself, whatever the target's lists say"},
		{op: "GetBucketNotificationConfiguration", method: get, level: b, marker: "notification", action: "s3:GetBucketNotification", state: served, handle: emptyDocument("NotificationConfiguration"), note: "there are none"},
		{op: "PutBucketNotificationConfiguration", method: put, level: b, marker: "notification", action: "s3:PutBucketNotification", state: served, handle: putBucketNotification, note: "only the empty configuration; with any event it is answered with 501"},
		{op: "GetBucketPolicy", method: get, level: b, marker: "policy", action: "s3:GetBucketPolicy", state: served, handle: getBucketPolicy},
		{op: "PutBucketPolicy", method: put, level: b, marker: "policy", action: "s3:PutBucketPolicy", state: served, handle: putBucketPolicy, note: "administrators of the bucket's account are never locked out of the policy"},
		{op: "DeleteBucketPolicy", method: remove, level: b, marker: "policy", action: "s3:DeleteBucketPolicy", state: served, handle: deleteBucketPolicy},
		{op: "GetBucketPolicyStatus", method: get, level: b, marker: "policyStatus", action: "s3:GetBucketPolicyStatus", state: served, handle: getBucketPolicyStatus, note: "judges the bucket's list too, and needs no policy"},
		{op: "GetBucketReplication", method: get, level: b, marker: "replication", action: "s3:GetReplicationConfiguration", state: served, handle: notConfigured(ReplicationNotFound), note: "there is none"},
		{op: "PutBucketReplication", method: put, level: b, marker: "replication", action: "s3:PutReplicationConfiguration", note: "there is no replication"},
		{op: "DeleteBucketReplication", method: remove, level: b, marker: "replication", action: "s3:PutReplicationConfiguration", state: served, handle: nothingToDelete, note: "there is none"},
		{op: "GetBucketRequestPayment", method: get, level: b, marker: "requestPayment", action: "s3:GetBucketRequestPayment", state: served, handle: getBucketRequestPayment, note: "always the owner"},
		{op: "PutBucketRequestPayment", method: put, level: b, marker: "requestPayment", action: "s3:PutBucketRequestPayment", state: served, handle: putBucketRequestPayment, note: "BucketOwner only; nobody is charged: Requester is answered with 501"},
		{op: "GetBucketTagging", method: get, level: b, marker: "tagging", action: "s3:GetBucketTagging", state: served, handle: getBucketTagging},
		{op: "PutBucketTagging", method: put, level: b, marker: "tagging", action: "s3:PutBucketTagging", state: served, handle: putBucketTagging},
		{op: "DeleteBucketTagging", method: remove, level: b, marker: "tagging", action: "s3:PutBucketTagging", state: served, handle: deleteBucketTagging},
		{op: "GetBucketWebsite", method: get, level: b, marker: "website", action: "s3:GetBucketWebsite", state: served, handle: notConfigured(NoSuchWebsiteConfiguration), note: "there is none"},
		{op: "PutBucketWebsite", method: put, level: b, marker: "website", action: "s3:PutBucketWebsite", note: "websites are not served"},
		{op: "DeleteBucketWebsite", method: remove, level: b, marker: "website", action: "s3:DeleteBucketWebsite", state: served, handle: nothingToDelete, note: "there is none"},
		{op: "GetObjectLockConfiguration", method: get, level: b, marker: "object-lock", action: "s3:GetBucketObjectLockConfiguration", state: served, handle: getObjectLockConfiguration},
		{op: "PutObjectLockConfiguration", method: put, level: b, marker: "object-lock", action: "s3:PutBucketObjectLockConfiguration", state: served, handle: putObjectLockConfiguration},
		{op: "GetPublicAccessBlock", method: get, level: b, marker: "publicAccessBlock", action: "s3:GetBucketPublicAccessBlock", state: served, handle: getPublicAccessBlock},
		{op: "PutPublicAccessBlock", method: put, level: b, marker: "publicAccessBlock", action: "s3:PutBucketPublicAccessBlock", state: served, handle: putPublicAccessBlock},
		{op: "DeletePublicAccessBlock", method: remove, level: b, marker: "publicAccessBlock", action: "s3:PutBucketPublicAccessBlock", state: served, handle: deletePublicAccessBlock},

		{op: "GetBucketAnalyticsConfiguration", method: get, level: b, marker: "analytics&id", action: "s3:GetAnalyticsConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "ListBucketAnalyticsConfigurations", method: get, level: b, marker: "analytics", action: "s3:GetAnalyticsConfiguration", query: "continuation-token", state: served, handle: noConfigurations("ListBucketAnalyticsConfigurationsResult"), note: "there are none"},
		{op: "PutBucketAnalyticsConfiguration", method: put, level: b, marker: "analytics&id", action: "s3:PutAnalyticsConfiguration", note: "no analysis is made"},
		{op: "DeleteBucketAnalyticsConfiguration", method: remove, level: b, marker: "analytics&id", action: "s3:PutAnalyticsConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "GetBucketIntelligentTieringConfiguration", method: get, level: b, marker: "intelligent-tiering&id", action: "s3:GetIntelligentTieringConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "ListBucketIntelligentTieringConfigurations", method: get, level: b, marker: "intelligent-tiering", action: "s3:GetIntelligentTieringConfiguration", query: "continuation-token", state: served, handle: noConfigurations("ListBucketIntelligentTieringConfigurationsOutput"), note: "there are none"},
		{op: "PutBucketIntelligentTieringConfiguration", method: put, level: b, marker: "intelligent-tiering&id", action: "s3:PutIntelligentTieringConfiguration", note: "there is one tier of storage"},
		{op: "DeleteBucketIntelligentTieringConfiguration", method: remove, level: b, marker: "intelligent-tiering&id", action: "s3:PutIntelligentTieringConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "GetBucketInventoryConfiguration", method: get, level: b, marker: "inventory&id", action: "s3:GetInventoryConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "ListBucketInventoryConfigurations", method: get, level: b, marker: "inventory", action: "s3:GetInventoryConfiguration", query: "continuation-token", state: served, handle: noConfigurations("ListInventoryConfigurationsResult"), note: "there are none"},
		{op: "PutBucketInventoryConfiguration", method: put, level: b, marker: "inventory&id", action: "s3:PutInventoryConfiguration", note: "no inventories are made"},
		{op: "DeleteBucketInventoryConfiguration", method: remove, level: b, marker: "inventory&id", action: "s3:PutInventoryConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "GetBucketMetricsConfiguration", method: get, level: b, marker: "metrics&id", action: "s3:GetMetricsConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "ListBucketMetricsConfigurations", method: get, level: b, marker: "metrics", action: "s3:GetMetricsConfiguration", query: "continuation-token", state: served, handle: noConfigurations("ListMetricsConfigurationsResult"), note: "there are none"},
		{op: "PutBucketMetricsConfiguration", method: put, level: b, marker: "metrics&id", action: "s3:PutMetricsConfiguration", note: "metrics are on the admin listener, for Prometheus"},
		{op: "DeleteBucketMetricsConfiguration", method: remove, level: b, marker: "metrics&id", action: "s3:PutMetricsConfiguration", state: served, handle: noConfiguration, note: "there is none"},
		{op: "CreateBucketMetadataConfiguration", method: post, level: b, marker: "metadataConfiguration", action: "s3:CreateBucketMetadataTableConfiguration", note: never},
		{op: "GetBucketMetadataConfiguration", method: get, level: b, marker: "metadataConfiguration", action: "s3:GetBucketMetadataTableConfiguration", note: never},
		{op: "DeleteBucketMetadataConfiguration", method: remove, level: b, marker: "metadataConfiguration", action: "s3:DeleteBucketMetadataTableConfiguration", note: never},
		{op: "CreateBucketMetadataTableConfiguration", method: post, level: b, marker: "metadataTable", action: "s3:CreateBucketMetadataTableConfiguration", note: never},
		{op: "GetBucketMetadataTableConfiguration", method: get, level: b, marker: "metadataTable", action: "s3:GetBucketMetadataTableConfiguration", note: never},
		{op: "DeleteBucketMetadataTableConfiguration", method: remove, level: b, marker: "metadataTable", action: "s3:DeleteBucketMetadataTableConfiguration", note: never},
		{op: "UpdateBucketMetadataInventoryTableConfiguration", method: put, level: b, marker: "metadataInventoryTable", action: "s3:UpdateBucketMetadataInventoryTableConfiguration", note: never},
		{op: "UpdateBucketMetadataJournalTableConfiguration", method: put, level: b, marker: "metadataJournalTable", action: "s3:UpdateBucketMetadataJournalTableConfiguration", note: never},
		{op: "CreateSession", method: get, level: b, marker: "session", action: "s3express:CreateSession", note: "there are no directory buckets"},
	}
}
