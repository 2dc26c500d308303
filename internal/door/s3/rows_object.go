package s3

// objectRows are the operations on an object.
func objectRows() []row {
	const o = objectLevel
	later := "comes with the complete S3 door"
	return []row{
		{op: "PutObject", method: put, level: o, action: "s3:PutObject", state: served, handle: putObject},
		{op: "CopyObject", method: put, level: o, header: "X-Amz-Copy-Source", action: "s3:PutObject", state: served, handle: copyObject},
		{op: "GetObject", method: get, level: o, action: "s3:GetObject", query: "versionId partNumber response-content-type response-content-language response-content-disposition response-content-encoding response-cache-control response-expires bucket key etag", state: served, handle: getObject},
		{op: "HeadObject", method: head, level: o, action: "s3:GetObject", query: "versionId partNumber response-content-type response-content-language response-content-disposition response-content-encoding response-cache-control response-expires", state: served, handle: headObject},
		{op: "DeleteObject", method: remove, level: o, action: "s3:DeleteObject", query: "versionId", state: served, handle: deleteObject},
		{op: "GetObjectAttributes", method: get, level: o, marker: "attributes", action: "s3:GetObjectAttributes", query: "versionId", state: served, handle: getObjectAttributes},
		{op: "GetObjectAcl", method: get, level: o, marker: "acl", action: "s3:GetObjectAcl", query: "versionId", state: served, handle: getObjectACL},
		{op: "PutObjectAcl", method: put, level: o, marker: "acl", action: "s3:PutObjectAcl", query: "versionId", state: served, handle: putObjectACL},
		{op: "CreateMultipartUpload", method: post, level: o, marker: "uploads", action: "s3:PutObject", state: served, handle: createMultipartUpload},
		{op: "UploadPart", method: put, level: o, marker: "partNumber&uploadId", action: "s3:PutObject", state: served, handle: uploadPart},
		{op: "UploadPartCopy", method: put, level: o, marker: "partNumber&uploadId", header: "X-Amz-Copy-Source", action: "s3:PutObject", state: served, handle: uploadPartCopy},
		{op: "CompleteMultipartUpload", method: post, level: o, marker: "uploadId", action: "s3:PutObject", state: served, handle: completeMultipartUpload, objectSums: true},
		{op: "AbortMultipartUpload", method: remove, level: o, marker: "uploadId", action: "s3:AbortMultipartUpload", state: served, handle: abortMultipartUpload},
		{op: "ListParts", method: get, level: o, marker: "uploadId", action: "s3:ListMultipartUploadParts", query: "max-parts part-number-marker encoding-type", state: served, handle: listParts},
		{op: "OptionsObject", method: "OPTIONS", level: o, state: served, handle: preflight, note: "CORS preflight"},

		{op: "GetObjectTagging", method: get, level: o, marker: "tagging", action: "s3:GetObjectTagging", query: "versionId", state: served, handle: getObjectTagging},
		{op: "PutObjectTagging", method: put, level: o, marker: "tagging", query: "versionId", action: "s3:PutObjectTagging", state: served, handle: putObjectTagging},
		{op: "DeleteObjectTagging", method: remove, level: o, marker: "tagging", query: "versionId", action: "s3:DeleteObjectTagging", state: served, handle: deleteObjectTagging},
		{op: "GetObjectRetention", method: get, level: o, marker: "retention", query: "versionId", action: "s3:GetObjectRetention", state: served, handle: getObjectRetention},
		{op: "PutObjectRetention", method: put, level: o, marker: "retention", query: "versionId", action: "s3:PutObjectRetention", state: served, handle: putObjectRetention},
		{op: "GetObjectLegalHold", method: get, level: o, marker: "legal-hold", query: "versionId", action: "s3:GetObjectLegalHold", state: served, handle: getObjectLegalHold, note: "OFF also for a version that never had one"},
		{op: "PutObjectLegalHold", method: put, level: o, marker: "legal-hold", query: "versionId", action: "s3:PutObjectLegalHold", state: served, handle: putObjectLegalHold},
		{op: "UpdateObjectEncryption", method: put, level: o, marker: "encryption", query: "versionId", action: "s3:UpdateObjectEncryption", note: later},
		{op: "GetObjectTorrent", method: get, level: o, marker: "torrent", action: "s3:GetObject", state: served, handle: getObjectTorrent, note: "no torrents are made: 404"},
		{op: "RestoreObject", method: post, level: o, marker: "restore", query: "versionId", action: "s3:RestoreObject", note: "there is no archive tier"},
		{op: "SelectObjectContent", method: post, level: o, marker: "select&select-type", action: "s3:GetObject", note: "closed to new customers by AWS too"},
		{op: "RenameObject", method: put, level: o, marker: "renameObject", action: "s3express:CreateSession", note: "there are no directory buckets"},
	}
}
