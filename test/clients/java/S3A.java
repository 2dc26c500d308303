import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.StringTokenizer;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.s3a.S3AFileSystem;
import org.apache.hadoop.fs.s3a.commit.files.SuccessData;
import org.apache.hadoop.io.IntWritable;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.Reducer;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;

/**
 * Uses a bucket as Hadoop does: a file system by S3A, and jobs of MapReduce that commit their output without a rename, by the "magic" committer and by the "directory"
 * committer, which keeps uploads open until the job is sure. ENDPOINT and BUCKET say where, the bucket must be there; the usual variables of AWS, who.
 */
public final class S3A {
  private static final int MIB = 1 << 20;
  private static final String BUCKET = System.getenv("BUCKET");
  private static final Path ROOT = new Path("s3a://" + BUCKET + "/");

  public static void main(String[] args) throws Exception {
    Configuration conf = configuration();
    try (FileSystem fs = FileSystem.newInstance(URI.create(ROOT.toString()), conf)) {
      check(fs instanceof S3AFileSystem, "not S3A: " + fs.getClass());
      files(fs);
      folders(fs);
      for (String committer : new String[] {"magic", "directory"}) {
        count(fs, committer);
      }
      for (FileStatus s : fs.listStatus(ROOT)) {
        fs.delete(s.getPath(), true);
      }
      check(fs.listStatus(ROOT).length == 0, "something is left");
    }
    System.out.println("everything holds");
  }

  static Configuration configuration() {
    Configuration conf = new Configuration();
    conf.set("fs.s3a.endpoint", System.getenv("ENDPOINT"));
    conf.set("fs.s3a.endpoint.region", "us-east-1");
    conf.set("fs.s3a.path.style.access", "true");
    conf.set("fs.s3a.connection.ssl.enabled", "false");
    conf.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
    conf.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
    conf.set("fs.s3a.multipart.size", "5M");
    conf.set("fs.s3a.attempts.maximum", "1"); // what fails once is to be seen
    conf.set("hadoop.tmp.dir", System.getenv("HOME") + "/hadoop");
    conf.set("fs.s3a.buffer.dir", System.getenv("HOME") + "/hadoop/s3a");
    conf.set("mapreduce.framework.name", "local");
    conf.set("mapreduce.outputcommitter.factory.scheme.s3a", "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory");
    return conf;
  }

  private static void files(FileSystem fs) throws IOException {
    byte[] body = new byte[13 * MIB + 77]; // three parts
    new Random(1).nextBytes(body);
    Path file = new Path(ROOT, "files/ä b+c");
    try (FSDataOutputStream out = fs.create(file, true)) {
      out.write(body);
    }
    check(fs.getFileStatus(file).getLen() == body.length, "length");
    byte[] back = new byte[body.length];
    try (FSDataInputStream in = fs.open(file)) {
      in.readFully(0, back);
      check(Arrays.equals(back, body), "the bytes of a file");
      in.seek(body.length - 10);
      check(in.read() == (body[body.length - 10] & 0xff), "seek to the end");
      in.seek(5);
      check(in.read() == (body[5] & 0xff), "seek back");
      byte[] some = new byte[1000];
      in.readFully(7 * MIB, some);
      check(Arrays.equals(some, Arrays.copyOfRange(body, 7 * MIB, 7 * MIB + 1000)), "a positioned read");
    }
    Path moved = new Path(ROOT, "moved");
    check(fs.rename(file, moved) && !fs.exists(file) && fs.getFileStatus(moved).getLen() == body.length, "a renamed file");
    try (FSDataOutputStream out = fs.create(moved, true)) {
      out.writeBytes("shorter");
    }
    check(fs.getFileStatus(moved).getLen() == 7, "a file that is replaced");
    try {
      fs.create(moved, false).close();
      throw new AssertionError("created over a file");
    } catch (org.apache.hadoop.fs.FileAlreadyExistsException e) {
      // as it must be
    }
    check(fs.delete(moved, false), "delete");
    try {
      fs.open(moved).close();
      throw new AssertionError("opened a deleted file");
    } catch (FileNotFoundException e) {
      // as it must be
    }
  }

  private static void folders(FileSystem fs) throws IOException {
    Path top = new Path(ROOT, "top");
    check(fs.mkdirs(new Path(top, "a/b/empty")) && fs.getFileStatus(new Path(top, "a/b")).isDirectory(), "folders");
    for (int i = 0; i < 20; i++) {
      try (FSDataOutputStream out = fs.create(new Path(top, "a/" + i % 4 + "/" + i))) {
        out.writeInt(i);
      }
    }
    check(fs.listStatus(new Path(top, "a")).length == 5, "a listing"); // 0 to 3, and b
    int count = 0;
    for (RemoteIterator<LocatedFileStatus> it = fs.listFiles(top, true); it.hasNext(); count++) {
      it.next();
    }
    check(count == 20, "a listing of all below: " + count);
    Path to = new Path(ROOT, "to");
    check(fs.rename(top, to) && !fs.exists(top) && fs.exists(new Path(to, "a/3/19")) && fs.getFileStatus(new Path(to, "a/b/empty")).isDirectory(), "a renamed folder");
    check(fs.getContentSummary(to).getLength() == 80, "a summary");
    check(fs.globStatus(new Path(to, "a/*/1*")).length == 11, "a glob");
    try {
      fs.delete(to, false);
      throw new AssertionError("deleted a folder that is not empty");
    } catch (IOException e) {
      // as it must be
    }
    check(fs.delete(to, true) && !fs.exists(to), "a deleted folder");
  }

  /** Counts words, and wants the committer that was asked for to have done it. */
  private static void count(FileSystem fs, String committer) throws Exception {
    Path in = new Path(ROOT, "in-" + committer);
    Path out = new Path(ROOT, "out-" + committer);
    Map<String, Integer> want = new TreeMap<>();
    for (int file = 0; file < 3; file++) {
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < 1000; i++) {
        String word = "w" + i * (file + 1) % 37;
        want.merge(word, 1, Integer::sum);
        text.append(word).append(i % 10 == 9 ? '\n' : ' ');
      }
      try (FSDataOutputStream o = fs.create(new Path(in, "part" + file))) {
        o.write(text.toString().getBytes(StandardCharsets.UTF_8));
      }
    }
    Configuration conf = new Configuration(fs.getConf());
    conf.set("fs.s3a.committer.name", committer);
    Job job = Job.getInstance(conf, "count words, " + committer);
    job.setMapperClass(Words.class);
    job.setReducerClass(Sum.class);
    job.setNumReduceTasks(2);
    job.setOutputKeyClass(Text.class);
    job.setOutputValueClass(IntWritable.class);
    FileInputFormat.addInputPath(job, in);
    FileOutputFormat.setOutputPath(job, out);
    check(job.waitForCompletion(false), "the job with the committer " + committer + " failed");

    SuccessData success = SuccessData.load(fs, new Path(out, "_SUCCESS"));
    check(success.getCommitter().equals(committer), "committed by " + success.getCommitter() + ", not by " + committer);
    check(success.getFilenames().size() == 2, "committed " + success.getFilenames());
    Map<String, Integer> got = new TreeMap<>();
    for (FileStatus s : fs.listStatus(out, p -> p.getName().startsWith("part-"))) {
      try (BufferedReader r = new BufferedReader(new InputStreamReader(fs.open(s.getPath()), StandardCharsets.UTF_8))) {
        r.lines().map(l -> l.split("\t")).forEach(f -> got.put(f[0], Integer.valueOf(f[1])));
      }
    }
    check(got.equals(want), "words: " + got + ", want " + want);
    check(!((S3AFileSystem) fs).listUploads(null).hasNext(), "uploads are left open");
  }

  public static final class Words extends Mapper<LongWritable, Text, Text, IntWritable> {
    @Override
    protected void map(LongWritable at, Text line, Context context) throws IOException, InterruptedException {
      for (StringTokenizer words = new StringTokenizer(line.toString()); words.hasMoreTokens();) {
        context.write(new Text(words.nextToken()), new IntWritable(1));
      }
    }
  }

  public static final class Sum extends Reducer<Text, IntWritable, Text, IntWritable> {
    @Override
    protected void reduce(Text word, Iterable<IntWritable> ones, Context context) throws IOException, InterruptedException {
      int n = 0;
      for (IntWritable one : ones) {
        n += one.get();
      }
      context.write(word, new IntWritable(n));
    }
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
