import static org.apache.hadoop.fs.contract.ContractOptions.*;

import java.io.FileNotFoundException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.contract.AbstractBondedFSContract;
import org.apache.hadoop.fs.contract.AbstractContractBulkDeleteTest;
import org.apache.hadoop.fs.contract.AbstractContractContentSummaryTest;
import org.apache.hadoop.fs.contract.AbstractContractCopyFromLocalTest;
import org.apache.hadoop.fs.contract.AbstractContractCreateTest;
import org.apache.hadoop.fs.contract.AbstractContractDeleteTest;
import org.apache.hadoop.fs.contract.AbstractContractEtagTest;
import org.apache.hadoop.fs.contract.AbstractContractGetEnclosingRoot;
import org.apache.hadoop.fs.contract.AbstractContractGetFileStatusTest;
import org.apache.hadoop.fs.contract.AbstractContractMkdirTest;
import org.apache.hadoop.fs.contract.AbstractContractMultipartUploaderTest;
import org.apache.hadoop.fs.contract.AbstractContractOpenTest;
import org.apache.hadoop.fs.contract.AbstractContractRenameTest;
import org.apache.hadoop.fs.contract.AbstractContractRootDirectoryTest;
import org.apache.hadoop.fs.contract.AbstractContractSeekTest;
import org.apache.hadoop.fs.contract.AbstractContractUnbufferTest;
import org.apache.hadoop.fs.contract.AbstractContractVectoredReadTest;
import org.apache.hadoop.fs.contract.AbstractFSContract;
import org.apache.hadoop.fs.contract.ContractTestUtils;
import org.apache.hadoop.io.wrappedio.WrappedIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Hadoop's contract of file systems, by its own tests, held against a bucket through S3A. What S3A can and cannot do over any object store is said in {@link Bucket} and in
 * the tests that are turned round; both as Hadoop says it of S3A (Hadoop documentation, "Testing the S3A filesystem client").
 */
public final class Contract {
  private Contract() {}

  private static final class Bucket extends AbstractBondedFSContract {
    Bucket(Configuration conf) {
      super(conf);
      S3A.configuration().forEach(e -> conf.set(e.getKey(), e.getValue()));
      conf.set("fs.contract.test.fs.s3a", "s3a://" + System.getenv("BUCKET"));
      for (String yes : List.of(IS_BLOBSTORE, CREATE_VISIBILITY_DELAYED, IS_CASE_SENSITIVE, CREATE_FILE_UNDER_FILE_ALLOWED, RENAME_CREATES_DEST_DIRS,
          RENAME_REMOVE_DEST_IF_EMPTY_DIR, SUPPORTS_GETFILESTATUS, SUPPORTS_SEEK, SUPPORTS_SEEK_ON_CLOSED_FILE, REJECTS_SEEK_PAST_EOF, SUPPORTS_STRICT_EXCEPTIONS, SUPPORTS_UNBUFFER,
          VECTOR_IO_EARLY_EOF_CHECK, TEST_ROOT_TESTS_ENABLED)) {
        conf.setBoolean(FS_CONTRACT_KEY + yes, true);
      }
      conf.set("fs.s3a.input.stream.type", "classic"); // the other kind of stream has a contract of its own for ranges
      conf.setInt(FS_CONTRACT_KEY + TEST_RANDOM_SEEK_COUNT, 10);
    }

    @Override
    public String getScheme() {
      return "s3a";
    }
  }

  public static class BulkDelete extends AbstractContractBulkDeleteTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }

    @Override
    protected int getExpectedPageSize() {
      return 250; // fs.s3a.bulk.delete.page.size
    }

    /** Folders are not deleted in bulk, whether or not they hold something; that is no failure to S3A. */
    @Override
    @Test
    public void testBulkDeleteParentDirectoryWithDirectories() throws Exception {
      Path folder = new Path(basePath, "folder");
      fs.mkdirs(new Path(folder, "below"));
      assertSuccessfulBulkDelete(WrappedIO.bulkDelete_delete(fs, basePath, List.of(folder)));
      assertIsDirectory(new Path(folder, "below"));
    }

    @Override
    @Test
    public void testBulkDeleteParentDirectoryWithFiles() throws Exception {
      Path folder = new Path(basePath, "folder");
      ContractTestUtils.touch(fs, new Path(folder, "file"));
      assertSuccessfulBulkDelete(WrappedIO.bulkDelete_delete(fs, basePath, List.of(folder)));
      assertIsFile(new Path(folder, "file"));
    }
  }

  public static class ContentSummary extends AbstractContractContentSummaryTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class CopyFromLocal extends AbstractContractCopyFromLocalTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Create extends AbstractContractCreateTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Delete extends AbstractContractDeleteTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Etag extends AbstractContractEtagTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class EnclosingRoot extends AbstractContractGetEnclosingRoot {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class GetFileStatus extends AbstractContractGetFileStatusTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Mkdir extends AbstractContractMkdirTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class MultipartUploader extends AbstractContractMultipartUploaderTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }

    @Override
    protected int partSizeInBytes() {
      return 5 << 20;
    }

    @Override
    protected int getTestPayloadCount() {
      return 3;
    }

    @Override
    protected boolean supportsConcurrentUploadsToSamePath() {
      return true;
    }

    @Override
    protected boolean finalizeConsumesUploadIdImmediately() {
      return false; // completing once more what was completed is answered as the first time, as at AWS
    }

    /** An upload that was aborted may be unknown when it is aborted again (API Reference, AbortMultipartUpload, NoSuchUpload). */
    @Override
    @Test
    public void testMultipartUploadAbort() throws Exception {
      try {
        super.testMultipartUploadAbort();
      } catch (FileNotFoundException e) {
        check(e.getMessage().contains("NoSuchUpload"), e.toString());
      }
    }

    @Override
    public void testDirectoryInTheWay() {
      // Without @Test it is not run: there are no folders that could be in the way, and S3A does not look for them.
    }
  }

  public static class Open extends AbstractContractOpenTest {
    /** S3A says of all its files that they are encrypted. */
    @Override
    protected boolean areZeroByteFilesEncrypted() {
      return true;
    }

    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }

  public static class Rename extends AbstractContractRenameTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }

    @Override
    public void testRenameFileUnderFileSubdir() {
      // Without @Test it is not run: S3A does not look whether a file stands further up.
    }

    /** S3A does not rename into a folder that holds something. */
    @Override
    @Test
    public void testRenameDirIntoExistingDir() throws Throwable {
      FileSystem fs = getFileSystem();
      Path from = path("from");
      Path to = path("to");
      byte[] data = ContractTestUtils.dataset(256, 'a', 'z');
      ContractTestUtils.writeDataset(fs, new Path(from, "one"), data, data.length, 1024, false);
      ContractTestUtils.writeDataset(fs, new Path(to, "two"), data, data.length, 1024, false);
      assertFalse(fs.rename(from, to), "renamed into a folder that holds something");
      ContractTestUtils.verifyFileContents(fs, new Path(from, "one"), data);
      ContractTestUtils.verifyFileContents(fs, new Path(to, "two"), data);
    }
  }

  public static class RootDirectory extends AbstractContractRootDirectoryTest {
    @Override
    public void testRmNonEmptyRootDirNonRecursive() {
      // Without @Test it is not run: S3A answers false, and does not throw.
    }

    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Seek extends AbstractContractSeekTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  public static class Unbuffer extends AbstractContractUnbufferTest {
    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }

  @ParameterizedClass(name = "buffers {0}")
  @MethodSource("params")
  public static class VectoredRead extends AbstractContractVectoredReadTest {
    public VectoredRead(String buffers) {
      super(buffers);
    }

    @Override
    protected AbstractFSContract createContract(Configuration conf) {
      return new Bucket(conf);
    }
  }
}
