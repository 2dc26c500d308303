// Uses Pithos through the AWS SDK for JavaScript v3 with default settings. Environment: ENDPOINT, BUCKET, and the usual AWS variables.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  CopyObjectCommand, CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand,
  HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const Bucket = process.env.BUCKET;
const s3 = new S3Client({ endpoint: process.env.ENDPOINT });
const send = (Command, input) => s3.send(new Command({ Bucket, ...input }));
const get = async (Key, input) => Buffer.from(await (await send(GetObjectCommand, { Key, ...input })).Body.transformToByteArray());

await send(CreateBucketCommand);
const body = randomBytes(70_000);
await send(PutObjectCommand, { Key: "small", Body: body, ContentType: "text/x-test", Metadata: { colour: "blue" } });
assert.ok(body.equals(await get("small")));
assert.ok(body.subarray(10, 20).equals(await get("small", { Range: "bytes=10-19" })));
const head = await send(HeadObjectCommand, { Key: "small" });
assert.equal(head.ContentType, "text/x-test");
assert.deepEqual(head.Metadata, { colour: "blue" });
await assert.rejects(send(GetObjectCommand, { Key: "missing" }), { name: "NoSuchKey" });
// A stream of known length is sent in chunks with a checksum in the trailer.
await send(PutObjectCommand, { Key: "stream", Body: Readable.from([body]), ContentLength: body.length });
assert.ok(body.equals(await get("stream")));
console.log("ok objects");

await assert.rejects(send(PutObjectCommand, { Key: "small", Body: "x", IfNoneMatch: "*" }), { name: "PreconditionFailed" });
console.log("ok conditions");

const large = randomBytes(12 << 20);
await new Upload({ client: s3, params: { Bucket, Key: "large", Body: Readable.from([large]) } }).done();
assert.ok(large.equals(await get("large")));
assert.match((await send(HeadObjectCommand, { Key: "large" })).ETag, /-\d+"$/);
console.log("ok multipart");

const names = ["a", "a/", "a/b", "dir/é ü ☃.txt", "dir/space plus+%25&?=.txt", "~tilde"];
for (const name of names) await send(PutObjectCommand, { Key: "names/" + name, Body: name });
for (const name of names) assert.equal((await get("names/" + name)).toString(), name);
const listed = [];
for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Prefix: "names/" })) {
  listed.push(...page.Contents.map((o) => o.Key));
}
const want = names.map((name) => Buffer.from("names/" + name)).sort(Buffer.compare).map(String);
assert.deepEqual(listed, want);
const page = await send(ListObjectsV2Command, { Prefix: "names/", Delimiter: "/" });
assert.deepEqual(page.CommonPrefixes.map((p) => p.Prefix), ["names/a/", "names/dir/"]);
console.log("ok names and list");

await send(CopyObjectCommand, { Key: "copied", CopySource: `${Bucket}/names/${encodeURIComponent("dir/é ü ☃.txt")}` });
assert.equal((await get("copied")).toString(), "dir/é ü ☃.txt");
console.log("ok copy");

await send(DeleteObjectCommand, { Key: "small" });
const rest = (await send(ListObjectsV2Command)).Contents.map(({ Key }) => ({ Key }));
const deleted = await send(DeleteObjectsCommand, { Delete: { Objects: rest } });
assert.equal(deleted.Errors, undefined);
assert.equal((await send(ListObjectsV2Command)).KeyCount, 0);
await send(DeleteBucketCommand);
console.log("ok delete");
