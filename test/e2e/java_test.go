package e2e_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var contract = flag.String("contract", "Create|Delete", "which of Hadoop's contract tests to run, as a regular expression of their groups")

// TestSDKForJava drives the AWS SDK for Java, version 2: synchronous client, presigned URLs, asynchronous client, CRT client, transfer manager.
func TestSDKForJava(t *testing.T) {
	w := newWorld(t)
	w.java("java", "SDK")
}

// TestHadoop uses a bucket through S3A, and commits the output of jobs by the committers that need no rename.
func TestHadoop(t *testing.T) {
	w := newWorld(t)
	w.run(w.tool("aws"), "--endpoint-url", w.URL(), "s3", "mb", "s3://hadoop")
	w.java("hadoop", "S3A")
}

// TestHadoopContract runs some of Hadoop's own contract tests of file systems over S3A; with -contract ".*" all of them.
func TestHadoopContract(t *testing.T) {
	w := newWorld(t)
	w.run(w.tool("aws"), "--endpoint-url", w.URL(), "s3", "mb", "s3://contract")
	w.java("contract", "org.junit.platform.console.ConsoleLauncher", "execute", "--disable-banner", "--disable-ansi-colors", "--details=tree", "--fail-if-no-tests",
		"--scan-classpath="+filepath.Join(w.root, ".cache", "java", "classes"), "--include-classname=Contract[$]("+*contract+")")
}

// java runs one of the clients written in Java. Systems without Java 17 have none of them.
func (w *world) java(bucket, class string, args ...string) {
	w.t.Helper()
	cache := filepath.Join(w.root, ".cache")
	if _, err := os.Stat(filepath.Join(cache, "jdk")); err != nil {
		w.t.Skip("there is no Java 17")
	}
	if _, err := os.Stat(filepath.Join(cache, "java", "classes", "SDK.class")); err != nil {
		w.tool("the clients in Java")
	}
	w.script(bucket, filepath.Join(cache, "jdk", "bin", "java"), append([]string{
		"-Xmx512m", "-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + w.dir,
		"-cp", filepath.Join(cache, "java", "classes") + ":" + filepath.Join(cache, "java", "lib") + "/*", class,
	}, args...)...)
}
