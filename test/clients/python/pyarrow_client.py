"""Uses Pithos through pyarrow's S3 file system with default settings. Environment: ENDPOINT, BUCKET, and the usual AWS variables."""

import os

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

BUCKET = os.environ["BUCKET"]
s3 = fs.S3FileSystem(endpoint_override=os.environ["ENDPOINT"], allow_bucket_creation=True, allow_bucket_deletion=True)

s3.create_dir(BUCKET)
assert s3.get_file_info(BUCKET).type == fs.FileType.Directory

body = os.urandom(100_000)
with s3.open_output_stream(f"{BUCKET}/small file") as f:
    f.write(body)
with s3.open_input_stream(f"{BUCKET}/small file") as f:
    assert f.read() == body
with s3.open_input_file(f"{BUCKET}/small file") as f:
    assert f.read_at(1000, 5000) == body[5000:6000]
print("ok objects")

large = os.urandom(25 << 20)  # over pyarrow's part size: a multipart upload
with s3.open_output_stream(f"{BUCKET}/deep/down/large") as f:
    for at in range(0, len(large), 3_000_000):
        f.write(large[at : at + 3_000_000])
with s3.open_input_file(f"{BUCKET}/deep/down/large") as f:
    assert f.read() == large
assert s3.get_file_info(f"{BUCKET}/deep/down/large").size == len(large)
assert s3.get_file_info(f"{BUCKET}/deep").type == fs.FileType.Directory
print("ok multipart")

s3.copy_file(f"{BUCKET}/small file", f"{BUCKET}/copied")
s3.move(f"{BUCKET}/copied", f"{BUCKET}/moved")
assert s3.get_file_info(f"{BUCKET}/copied").type == fs.FileType.NotFound
with s3.open_input_stream(f"{BUCKET}/moved") as f:
    assert f.read() == body
found = sorted(i.path for i in s3.get_file_info(fs.FileSelector(BUCKET, recursive=True)) if i.type == fs.FileType.File)
assert found == [f"{BUCKET}/deep/down/large", f"{BUCKET}/moved", f"{BUCKET}/small file"], found
print("ok copy and list")

table = pa.table({"n": list(range(10_000)), "group": [i % 4 for i in range(10_000)]})
pq.write_table(table, f"{BUCKET}/tables/one.parquet", filesystem=s3)
assert pq.read_table(f"{BUCKET}/tables/one.parquet", filesystem=s3).equals(table)
ds.write_dataset(table, f"{BUCKET}/tables/split", filesystem=s3, format="parquet", partitioning=["group"])
assert ds.dataset(f"{BUCKET}/tables/split", filesystem=s3, partitioning=["group"]).count_rows() == 10_000
print("ok parquet")

s3.delete_file(f"{BUCKET}/moved")
s3.delete_dir_contents(BUCKET)
assert s3.get_file_info(fs.FileSelector(BUCKET, recursive=True)) == []
s3.delete_dir(BUCKET)
assert s3.get_file_info(BUCKET).type == fs.FileType.NotFound
print("ok delete")
