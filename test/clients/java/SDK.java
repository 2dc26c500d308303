import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.*;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/**
 * Drives a server with the AWS SDK for Java, version 2, in its default settings but for the endpoint and addresses in paths: the synchronous client, presigned
 * URLs, the asynchronous client on Netty, the CRT client, the transfer manager. ENDPOINT and BUCKET say where; the usual variables of AWS, who.
 */
public final class SDK {
  private static final int MIB = 1 << 20;
  private static final URI ENDPOINT = URI.create(System.getenv("ENDPOINT"));
  private static final String BUCKET = System.getenv("BUCKET");
  private static final Random RANDOM = new Random();

  public static void main(String[] args) throws Exception {
    long seed = args.length > 0 ? Long.parseLong(args[0]) : System.nanoTime();
    RANDOM.setSeed(seed);
    System.out.println("seed " + seed);
    try (S3Client s3 = S3Client.builder().endpointOverride(ENDPOINT).forcePathStyle(true).build()) {
      s3.createBucket(b -> b.bucket(BUCKET));
      objects(s3);
      checksums(s3);
      conditions(s3);
      parts(s3);
      listings(s3);
      presigned();
      netty();
      crt();
      empty(s3);
    }
    System.out.println("everything holds");
  }

  private static void objects(S3Client s3) throws IOException {
    byte[] body = bytes(300_000);
    PutObjectResponse put = s3.putObject(b -> b.bucket(BUCKET).key("dir/ä b+c").contentType("text/x").metadata(java.util.Map.of("who", "me")), RequestBody.fromBytes(body));
    HeadObjectResponse head = s3.headObject(b -> b.bucket(BUCKET).key("dir/ä b+c"));
    check(head.contentLength() == body.length && head.contentType().equals("text/x") && head.metadata().get("who").equals("me"), "head");
    check(head.eTag().equals(put.eTag()), "ETag");
    same(get(s3, "dir/ä b+c", null), body, "get");
    same(get(s3, "dir/ä b+c", "bytes=100-199"), Arrays.copyOfRange(body, 100, 200), "a range");
    same(get(s3, "dir/ä b+c", "bytes=-7"), Arrays.copyOfRange(body, body.length - 7, body.length), "the end");
    check(fails(416, () -> get(s3, "dir/ä b+c", "bytes=300000-")), "a range behind the end");
    s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey("dir/ä b+c").destinationBucket(BUCKET).destinationKey("copy"));
    same(get(s3, "copy", null), body, "a copy");
    // A body whose length is not known beforehand.
    try (InputStream in = new java.io.ByteArrayInputStream(body)) {
      s3.putObject(b -> b.bucket(BUCKET).key("stream"), RequestBody.fromContentProvider(() -> in, "application/octet-stream"));
    }
    same(get(s3, "stream", null), body, "a stream");
    s3.putObject(b -> b.bucket(BUCKET).key("empty"), RequestBody.empty());
    same(get(s3, "empty", null), new byte[0], "no bytes");
    s3.deleteObject(b -> b.bucket(BUCKET).key("copy"));
    check(fails(404, () -> get(s3, "copy", null)), "a deleted object");
  }

  private static void checksums(S3Client s3) {
    byte[] body = bytes(100_000);
    for (ChecksumAlgorithm a : List.of(ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C, ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256, ChecksumAlgorithm.CRC64_NVME)) {
      s3.putObject(b -> b.bucket(BUCKET).key("sum").checksumAlgorithm(a), RequestBody.fromBytes(body));
      HeadObjectResponse h = s3.headObject(b -> b.bucket(BUCKET).key("sum").checksumMode(ChecksumMode.ENABLED));
      String sum = switch (a) {
        case CRC32 -> h.checksumCRC32();
        case CRC32_C -> h.checksumCRC32C();
        case SHA1 -> h.checksumSHA1();
        case SHA256 -> h.checksumSHA256();
        default -> h.checksumCRC64NVME();
      };
      check(sum != null && !sum.isEmpty(), "no " + a);
      same(get(s3, "sum", null), body, "the bytes under " + a); // the SDK compares the checksum
    }
    check(fails(400, () -> s3.putObject(b -> b.bucket(BUCKET).key("wrong").checksumCRC32("AAAAAA=="), RequestBody.fromBytes(body))), "a wrong checksum");
    check(fails(404, () -> get(s3, "wrong", null)), "bytes with a wrong checksum");
  }

  private static void conditions(S3Client s3) {
    PutObjectResponse put = s3.putObject(b -> b.bucket(BUCKET).key("once").ifNoneMatch("*"), RequestBody.fromString("1"));
    check(fails(412, () -> s3.putObject(b -> b.bucket(BUCKET).key("once").ifNoneMatch("*"), RequestBody.fromString("2"))), "If-None-Match");
    s3.putObject(b -> b.bucket(BUCKET).key("once").ifMatch(put.eTag()), RequestBody.fromString("3"));
    check(fails(412, () -> s3.putObject(b -> b.bucket(BUCKET).key("once").ifMatch(put.eTag()), RequestBody.fromString("4"))), "If-Match");
    check(fails(304, () -> s3.headObject(b -> b.bucket(BUCKET).key("once").ifNoneMatch("*"))), "not modified");
    same(get(s3, "once", null), "3".getBytes(), "the one that fits");
  }

  private static void parts(S3Client s3) {
    byte[] body = bytes(11 * MIB);
    String id = s3.createMultipartUpload(b -> b.bucket(BUCKET).key("parts").checksumAlgorithm(ChecksumAlgorithm.SHA256)).uploadId();
    List<CompletedPart> done = new ArrayList<>();
    for (int i = 0; i * 5 * MIB < body.length; i++) {
      int number = i + 1;
      byte[] part = Arrays.copyOfRange(body, i * 5 * MIB, Math.min(body.length, (i + 1) * 5 * MIB));
      UploadPartResponse up = s3.uploadPart(
          b -> b.bucket(BUCKET).key("parts").uploadId(id).partNumber(number).checksumAlgorithm(ChecksumAlgorithm.SHA256), RequestBody.fromBytes(part));
      done.add(CompletedPart.builder().partNumber(number).eTag(up.eTag()).checksumSHA256(up.checksumSHA256()).build());
    }
    check(s3.listPartsPaginator(b -> b.bucket(BUCKET).key("parts").uploadId(id).maxParts(2)).parts().stream().count() == done.size(), "parts listed");
    check(s3.listMultipartUploads(b -> b.bucket(BUCKET)).uploads().size() == 1, "uploads listed");
    CompleteMultipartUploadResponse c = s3.completeMultipartUpload(b -> b.bucket(BUCKET).key("parts").uploadId(id).multipartUpload(m -> m.parts(done)));
    check(c.eTag().endsWith("-3\"") && c.checksumSHA256().endsWith("-3"), "the ETag of parts");
    same(get(s3, "parts", null), body, "an object of parts");
    GetObjectAttributesResponse at = s3.getObjectAttributes(b -> b.bucket(BUCKET).key("parts").objectAttributes(ObjectAttributes.OBJECT_PARTS, ObjectAttributes.CHECKSUM));
    check(at.objectParts().totalPartsCount() == 3 && at.checksum().checksumSHA256() != null, "attributes");

    String copy = s3.createMultipartUpload(b -> b.bucket(BUCKET).key("copied parts")).uploadId();
    String etag = s3.uploadPartCopy(b -> b.sourceBucket(BUCKET).sourceKey("parts").destinationBucket(BUCKET).destinationKey("copied parts").uploadId(copy).partNumber(1)
        .copySourceRange("bytes=1-" + 6 * MIB)).copyPartResult().eTag();
    CompletedPart part = CompletedPart.builder().partNumber(1).eTag(etag).build();
    s3.completeMultipartUpload(b -> b.bucket(BUCKET).key("copied parts").uploadId(copy).multipartUpload(m -> m.parts(part)));
    same(get(s3, "copied parts", null), Arrays.copyOfRange(body, 1, 6 * MIB + 1), "a part that was copied");
    String gone = s3.createMultipartUpload(b -> b.bucket(BUCKET).key("aborted")).uploadId();
    s3.abortMultipartUpload(b -> b.bucket(BUCKET).key("aborted").uploadId(gone));
    check(s3.listMultipartUploads(b -> b.bucket(BUCKET)).uploads().isEmpty(), "uploads are left");
  }

  private static void listings(S3Client s3) {
    for (int i = 0; i < 25; i++) {
      String key = "list/" + i % 5 + "/" + i;
      s3.putObject(b -> b.bucket(BUCKET).key(key), RequestBody.fromString(key));
    }
    check(s3.listObjectsV2Paginator(b -> b.bucket(BUCKET).prefix("list/").maxKeys(7)).contents().stream().count() == 25, "pages");
    ListObjectsV2Response folders = s3.listObjectsV2(b -> b.bucket(BUCKET).prefix("list/").delimiter("/"));
    check(folders.commonPrefixes().size() == 5 && folders.contents().isEmpty(), "folders");
    DeleteObjectsResponse d = s3.deleteObjects(b -> b.bucket(BUCKET).delete(x -> x.objects(
        s3.listObjectsV2(l -> l.bucket(BUCKET).prefix("list/")).contents().stream().map(o -> ObjectIdentifier.builder().key(o.key()).build()).toList())));
    check(d.deleted().size() == 25 && d.errors().isEmpty(), "delete many");
    check(s3.listObjectsV2(b -> b.bucket(BUCKET).prefix("list/")).keyCount() == 0, "a listing after it");
    check(s3.listBuckets().buckets().stream().anyMatch(b -> b.name().equals(BUCKET)), "buckets");
  }

  private static void presigned() throws IOException {
    byte[] body = bytes(10_000);
    try (S3Presigner p = S3Presigner.builder().endpointOverride(ENDPOINT).serviceConfiguration(S3Configuration.builder().pathStyleAccessEnabled(true).build()).build()) {
      var put = p.presignPutObject(b -> b.signatureDuration(Duration.ofMinutes(10)).putObjectRequest(r -> r.bucket(BUCKET).key("presigned").contentType("text/y")));
      HttpURLConnection up = (HttpURLConnection) put.url().openConnection();
      up.setRequestMethod("PUT");
      up.setDoOutput(true);
      put.signedHeaders().forEach((name, values) -> values.forEach(v -> up.setRequestProperty(name, v)));
      up.getOutputStream().write(body);
      check(up.getResponseCode() == 200, "a presigned PUT: " + up.getResponseCode());
      var get = p.presignGetObject(b -> b.signatureDuration(Duration.ofMinutes(10)).getObjectRequest(r -> r.bucket(BUCKET).key("presigned").responseContentType("text/z")));
      HttpURLConnection down = (HttpURLConnection) get.url().openConnection();
      same(down.getInputStream().readAllBytes(), body, "a presigned GET");
      check(down.getContentType().equals("text/z"), "a presigned header");
    }
  }

  private static void netty() {
    byte[] body = bytes(24 * MIB);
    try (S3AsyncClient s3 = S3AsyncClient.builder().endpointOverride(ENDPOINT).forcePathStyle(true).multipartEnabled(true).build()) {
      PutObjectResponse put = s3.putObject(b -> b.bucket(BUCKET).key("netty"), AsyncRequestBody.fromBytes(body)).join();
      check(put.eTag().contains("-"), "the asynchronous client sent no parts: " + put.eTag());
      ResponseBytes<GetObjectResponse> got = s3.getObject(b -> b.bucket(BUCKET).key("netty"), AsyncResponseTransformer.toBytes()).join();
      same(got.asByteArray(), body, "the asynchronous client");
      s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey("netty").destinationBucket(BUCKET).destinationKey("netty copy")).join();
      check(s3.headObject(b -> b.bucket(BUCKET).key("netty copy")).join().contentLength() == body.length, "an asynchronous copy");
    }
  }

  private static void crt() throws IOException {
    byte[] body = bytes(40 * MIB + 12345);
    Path dir = Files.createTempDirectory("crt");
    Path file = Files.write(dir.resolve("file"), body);
    try (S3AsyncClient s3 = S3AsyncClient.crtBuilder().endpointOverride(ENDPOINT).forcePathStyle(true).build();
         S3TransferManager transfers = S3TransferManager.builder().s3Client(s3).build()) {
      s3.putObject(b -> b.bucket(BUCKET).key("crt"), file).join();
      same(s3.getObject(b -> b.bucket(BUCKET).key("crt"), AsyncResponseTransformer.toBytes()).join().asByteArray(), body, "the CRT client");
      same(s3.getObject(b -> b.bucket(BUCKET).key("crt").range("bytes=1000-9999999"), AsyncResponseTransformer.toBytes()).join().asByteArray(),
          Arrays.copyOfRange(body, 1000, 10_000_000), "a range by the CRT client");

      transfers.uploadFile(b -> b.source(file).putObjectRequest(r -> r.bucket(BUCKET).key("managed"))).completionFuture().join();
      Path back = dir.resolve("back");
      transfers.downloadFile(b -> b.destination(back).getObjectRequest(r -> r.bucket(BUCKET).key("managed"))).completionFuture().join();
      same(Files.readAllBytes(back), body, "the transfer manager");
      transfers.copy(b -> b.copyObjectRequest(r -> r.sourceBucket(BUCKET).sourceKey("managed").destinationBucket(BUCKET).destinationKey("managed copy"))).completionFuture().join();
      same(s3.getObject(b -> b.bucket(BUCKET).key("managed copy"), AsyncResponseTransformer.toBytes()).join().asByteArray(), body, "a managed copy");

      Path tree = Files.createDirectories(dir.resolve("tree/deep/down")).getParent().getParent();
      for (String name : List.of("a", "b c", "deep/ü", "deep/down/d+e")) {
        Files.write(tree.resolve(name), bytes(RANDOM.nextInt(200_000)));
      }
      Files.write(tree.resolve("deep/large"), bytes(17 * MIB));
      check(transfers.uploadDirectory(b -> b.source(tree).bucket(BUCKET).s3Prefix("tree")).completionFuture().join().failedTransfers().isEmpty(), "a folder up");
      Path copy = dir.resolve("tree back");
      check(transfers.downloadDirectory(b -> b.destination(copy).bucket(BUCKET).listObjectsV2RequestTransformer(l -> l.prefix("tree/"))).completionFuture().join().failedTransfers().isEmpty(), "a folder down");
      try (var files = Files.walk(tree)) {
        for (Path each : files.filter(Files::isRegularFile).toList()) {
          same(Files.readAllBytes(copy.resolve(tree.relativize(each))), Files.readAllBytes(each), each.toString());
        }
      }
    }
  }

  private static void empty(S3Client s3) {
    s3.listObjectsV2Paginator(b -> b.bucket(BUCKET)).contents().forEach(o -> s3.deleteObject(b -> b.bucket(BUCKET).key(o.key())));
    s3.deleteBucket(b -> b.bucket(BUCKET));
    check(fails(404, () -> s3.headBucket(b -> b.bucket(BUCKET))), "a deleted bucket");
  }

  private static byte[] get(S3Client s3, String key, String range) {
    return s3.getObjectAsBytes(b -> b.bucket(BUCKET).key(key).range(range)).asByteArray();
  }

  private static byte[] bytes(int n) {
    byte[] b = new byte[n];
    RANDOM.nextBytes(b);
    return b;
  }

  private static boolean fails(int status, Runnable call) {
    try {
      call.run();
    } catch (S3Exception e) {
      check(e.statusCode() == status, "status " + e.statusCode() + ", want " + status + ": " + e.getMessage());
      return true;
    }
    return false;
  }

  private static void same(byte[] got, byte[] want, String what) {
    check(Arrays.equals(got, want), what + ": " + got.length + " bytes came back, other than the " + want.length + " that were sent");
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
