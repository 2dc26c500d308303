import java.util.List;
import org.apache.hadoop.conf.Configuration;
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
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Hadoop's contract of file systems, from its own tests, held against a bucket through S3A. What S3A cannot do with any object store is said in {@link #options()}, as
 * its documentation says it ("Testing the S3A filesystem client", "Testing the FileSystem contract and its extension").
 */
public final class Contract {
  private Contract() {}

  /** What S3A promises. */
  private static Configuration options() {
    Configuration conf = S3A.configuration();
    conf.set("fs.contract.test.fs.s3a", "s3a://" + System.getenv("BUCKET"));
    for (String yes : List.of("is-blobstore", "create-visibility-delayed", "is-case-sensitive", "rename-returns-false-if-source-missing", "rename-remove-dest-if-empty-dir",
        "rename-overwrites-dest", "supports-getfilestatus", "supports-seek", "supports-seek-on-closed-file", "rejects-seek-past-eof", "supports-strict-exceptions",
        "test.root-tests-enabled", "supports-unbuffer", "supports-content-check")) {
      conf.setBoolean("fs.contract." + yes, true);
    }
    conf.setInt("fs.contract.test.random-seek-count", 10);
    conf.setBoolean("fs.contract.test.root-tests-enabled", true);
    return conf;
  }

  private static final class Bucket extends AbstractBondedFSContract {
    Bucket(Configuration conf) {
      super(conf);
      options().forEach(e -> conf.set(e.getKey(), e.getValue()));
    }

    @Override
    public String getScheme() {
      return "s3a";
    }
  }
}
