"""Uses Pithos through boto3 with default settings. Environment: ENDPOINT, BUCKET, and the usual AWS variables."""

import io
import os

import boto3
import urllib3
from botocore.exceptions import ClientError, MissingDependencyException

BUCKET = os.environ["BUCKET"]
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"])


def refused(code, call, **kwargs):
    """Wants the call to be refused with the code."""
    try:
        call(**kwargs)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError(f"not refused with {code}")


def get(key, **kwargs):
    return s3.get_object(Bucket=BUCKET, Key=key, **kwargs)["Body"].read()


def objects():
    s3.create_bucket(Bucket=BUCKET)
    s3.head_bucket(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]

    body = os.urandom(70_000)
    s3.put_object(Bucket=BUCKET, Key="small", Body=body, ContentType="text/x-test", Metadata={"colour": "blue"}, CacheControl="no-store")
    answer = s3.get_object(Bucket=BUCKET, Key="small")
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "text/x-test" and answer["CacheControl"] == "no-store" and answer["Metadata"] == {"colour": "blue"}
    assert get("small", Range="bytes=100-199") == body[100:200]
    head = s3.head_object(Bucket=BUCKET, Key="small", ChecksumMode="ENABLED")
    assert head["ContentLength"] == len(body) and head["ChecksumCRC32"], head
    refused("404", s3.head_object, Bucket=BUCKET, Key="missing")
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="missing")
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert get("empty") == b""


def checksums():
    for name in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
        try:
            s3.put_object(Bucket=BUCKET, Key="sum/" + name, Body=b"checked " * 1000, ChecksumAlgorithm=name)
        except MissingDependencyException:
            continue  # boto3 computes this one only with an optional package
        answer = s3.get_object(Bucket=BUCKET, Key="sum/" + name, ChecksumMode="ENABLED")
        assert answer["Body"].read() == b"checked " * 1000
        assert answer["Checksum" + name]


def conditions():
    etag = s3.put_object(Bucket=BUCKET, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"3", IfMatch=etag)
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="once", Body=b"4", IfMatch=etag)
    refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="once", IfMatch=etag)
    assert get("once") == b"3"


def names():
    keys = ["a", "a/", "a/b", "dir/é ü ☃.txt", "dir/space plus+%25&?=.txt", "dir/sub/x", "~tilde", "q'uote\"s", "🗄"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key="names/" + key, Body=key.encode())
    for key in keys:
        assert get("names/" + key) == key.encode(), key
    want = sorted("names/" + key for key in keys)
    want.sort(key=str.encode)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="names/", PaginationConfig={"PageSize": 2})
    assert [o["Key"] for page in pages for o in page.get("Contents", [])] == want
    pages = s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="names/", PaginationConfig={"PageSize": 2})
    assert [o["Key"] for page in pages for o in page.get("Contents", [])] == want
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="names/", Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["names/a/", "names/dir/"], page


def multipart():
    body = os.urandom(20 << 20)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "large", ExtraArgs={"Metadata": {"parts": "many"}})
    head = s3.head_object(Bucket=BUCKET, Key="large")
    assert "-" in head["ETag"] and head["Metadata"] == {"parts": "many"}, head
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", back)
    assert back.getvalue() == body
    assert get("large", Range="bytes=8388600-8388615") == body[8388600:8388616]
    assert get("large", PartNumber=2) == body[8 << 20 : 16 << 20]
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large copy+é")
    assert get("large copy+é") == body

    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="abandoned")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="abandoned", UploadId=upload, PartNumber=1, Body=b"x")
    assert len(s3.list_parts(Bucket=BUCKET, Key="abandoned", UploadId=upload)["Parts"]) == 1
    assert len(s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]) == 1
    s3.abort_multipart_upload(Bucket=BUCKET, Key="abandoned", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def presigned():
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "signed url"})
    assert urllib3.request("PUT", url, body=b"by link").status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "signed url"})
    assert urllib3.request("GET", url).data == b"by link"
    # A link opens nothing else.
    assert urllib3.request("GET", url.replace("signed%20url", "large")).status == 403


def versions():
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket=BUCKET, Key="versioned", Body=b"one")["VersionId"]
    two = s3.put_object(Bucket=BUCKET, Key="versioned", Body=b"two")["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key="versioned")
    assert marker["DeleteMarker"]
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="versioned")
    assert get("versioned", VersionId=one) == b"one" and get("versioned", VersionId=two) == b"two"
    s3.delete_object(Bucket=BUCKET, Key="versioned", VersionId=marker["VersionId"])
    assert get("versioned") == b"two"


def clean():
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        doomed = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": doomed})
        assert "Errors" not in answer, answer
    s3.delete_bucket(Bucket=BUCKET)
    refused("NoSuchBucket", s3.list_objects_v2, Bucket=BUCKET)


for step in [objects, checksums, conditions, names, multipart, presigned, versions, clean]:
    step()
    print("ok", step.__name__)
