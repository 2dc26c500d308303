package backend_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pithos/internal/access"
	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/embedded"
	"pithos/internal/engine/memory"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/object"
	"pithos/internal/store/blob"
	"pithos/internal/store/bucket"
	"pithos/internal/store/key"
	"pithos/internal/store/meta"
)

// world is a backend on empty memory stores with two accounts, "alice" and "bob", an administrator in each, and a bucket of alice's.
type world struct {
	*backend.Backend
	t      *testing.T
	clock  *clock.Manual
	stores backend.Stores
	alice  backend.Caller
	bob    backend.Caller
	bucket bucket.Container
}

const blockSize = 64 << 10

func newWorld(t *testing.T, change ...func(*backend.Stores, *backend.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	engine := newEngine(t, w.clock)
	w.stores = backend.Stores{Keys: engine.Keys(), Buckets: engine.Buckets(), Meta: engine.Meta(), Blobs: engine.Blobs()}
	opts := backend.Options{Clock: w.clock, BlockSize: blockSize, BufferBytes: 4 << 20, PartMin: 100}
	w.alice, w.bob = addAccount(t, engine.Keys(), "alice"), addAccount(t, engine.Keys(), "bob")
	if strings.HasPrefix(t.Name(), "TestOnTheEmbeddedEngine/") {
		opts.ReadAhead = 3
	}
	if strings.HasPrefix(t.Name(), "TestWithSmallBodiesKept/") {
		opts.KeepMax = blockSize
	}
	if strings.HasPrefix(t.Name(), "TestInAFurtherRegion/") {
		opts.NewIn = north
		w.stores.Meta = inRegions(t, w.stores.Meta, memory.New(w.clock).Meta())
	}
	for _, c := range change {
		c(&w.stores, &opts)
	}
	w.Backend = backend.New(w.stores, opts)
	w.bucket = w.create("photos", bucket.Config{})
	return w
}

// engine is what every engine offers.
type engine interface {
	Keys() key.Store
	Buckets() bucket.Store
	Meta() meta.Store
	Blobs() blob.Store
}

// newEngine makes the memory engine, or the embedded one for what TestOnTheEmbeddedEngine and TestWithSmallBodiesKept/embedded run.
func newEngine(t *testing.T, c clock.Clock) engine {
	t.Helper()
	if !strings.HasPrefix(t.Name(), "TestOnTheEmbeddedEngine/") && !strings.HasPrefix(t.Name(), "TestWithSmallBodiesKept/embedded/") {
		return memory.New(c)
	}
	e, err := embedded.Open(t.TempDir(), embedded.Options{Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestWithSmallBodiesKept runs what reads, shares and replaces the bytes of objects where those of small ones are kept with their versions.
func TestWithSmallBodiesKept(t *testing.T) {
	tests := map[string]func(*testing.T){
		"put":         TestWhatIsPutIsRead,
		"zeros":       TestZerosAreNotStored,
		"cut":         TestACutBodyLeavesTheOldObject,
		"proof":       TestWhatIsNotProvedIsNotVisible,
		"parts":       TestPartsAreLaidEndToEnd,
		"part copy":   TestAPartIsCopiedByReference,
		"marker":      TestWithVersioningADeleteIsAMarker,
		"past":        TestTimeTravel,
		"conditional": TestOneOfManyConditionalWritersWins,
		"quota":       TestAQuotaIsExactUnderParallelWriters,
		"whole":       TestReadersAndWritersSeeWholeObjects,
		"hashmap":     TestAnObjectIsMadeOfBlocksThatWereSent,
		"possession":  TestKnowingAHashGivesNobodyBytes,
		"assembled":   TestTheHashmapOfAnAssembledObjectIsWorkedOut,
		"splice":      TestSplicesAgreeWithAByteSlice,
		"appends":     TestParallelAppendsDoNotOverlap,
		"folders":     TestATreeIsCopiedMovedAndDeleted,
		"purge":       TestHistoryIsPurgedByTime,
		"sealed":      TestWhatIsEncryptedIsRead,
		"delete":      TestWithoutVersioningADeleteIsForGood,
		"locks":       TestDeletesObeyConditionsAndLocks,
		"suspended":   TestWithSuspendedVersioningANullMarkerReplacesTheNullVersion,
		"sharing":     TestTheNearestListsDecideAlone,
		"range":       TestAnEncryptedRangeReadsWhatItNeeds,
		"key":         TestTheRightKeyIsNeeded,
		"seal copies": TestCopiesBetweenAllModes,
		"damaged":     TestDamagedKeptBytesAreNeverServed,
	}
	for _, engine := range []string{"memory", "embedded"} {
		t.Run(engine, func(t *testing.T) {
			for name, test := range tests {
				t.Run(name, test)
			}
		})
	}
}

func TestOnTheEmbeddedEngine(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"put":         TestWhatIsPutIsRead,
		"zeros":       TestZerosAreNotStored,
		"once":        TestSameBytesAreStoredOnce,
		"cut":         TestACutBodyLeavesTheOldObject,
		"proof":       TestWhatIsNotProvedIsNotVisible,
		"list":        TestListingsAreExact,
		"uploads":     TestUploadsAreListedInPages,
		"parts":       TestPartsAreLaidEndToEnd,
		"tree":        TestALongMapIsATree,
		"part copy":   TestAPartIsCopiedByReference,
		"complete":    TestACompletionIsChecked,
		"repeat":      TestARepeatedCompletionHasTheSameAnswer,
		"abort":       TestAnAbortedUploadIsGone,
		"delete":      TestWithoutVersioningADeleteIsForGood,
		"marker":      TestWithVersioningADeleteIsAMarker,
		"suspended":   TestWithSuspendedVersioningANullMarkerReplacesTheNullVersion,
		"locks":       TestDeletesObeyConditionsAndLocks,
		"past":        TestTimeTravel,
		"copy":        TestACopySharesItsSourcesBlocks,
		"containers":  TestOnlyAnEmptyContainerIsDeleted,
		"removal":     TestRacingRemovalsAndPuts,
		"conditional": TestOneOfManyConditionalWritersWins,
		"quota":       TestAQuotaIsExactUnderParallelWriters,
		"whole":       TestReadersAndWritersSeeWholeObjects,
		"race":        TestCompleteAbortAndPartsRace,
		"heal":        TestAPutHealsADamagedBlock,
		"hashmap":     TestAnObjectIsMadeOfBlocksThatWereSent,
		"possession":  TestKnowingAHashGivesNobodyBytes,
		"lease":       TestALeaseEnds,
		"assembled":   TestTheHashmapOfAnAssembledObjectIsWorkedOut,
		"splice":      TestSplicesAgreeWithAByteSlice,
		"appends":     TestParallelAppendsDoNotOverlap,
		"folders":     TestATreeIsCopiedMovedAndDeleted,
		"purge":       TestHistoryIsPurgedByTime,
		"sharing":     TestTheNearestListsDecideAlone,
		"shared":      TestOthersSeeWhatTheyMayRead,
		"link":        TestAPublicLinkCanBeWithdrawn,
		"sealed":      TestWhatIsEncryptedIsRead,
		"stored":      TestEncryptedBytesAreStoredEncrypted,
		"range":       TestAnEncryptedRangeReadsWhatItNeeds,
		"key":         TestTheRightKeyIsNeeded,
		"seal parts":  TestEncryptedPartsAreLaidEndToEnd,
		"seal copies": TestCopiesBetweenAllModes,
		"tampered":    TestTamperedMetadataIsDetected,
	} {
		t.Run(name, test)
	}
}

func addAccount(t *testing.T, keys key.Store, name string) backend.Caller {
	t.Helper()
	account := key.Account{ID: naming.AccountID(name), Canonical: "canonical-" + name, DisplayName: name}
	user := key.User{ID: naming.User(account.ID, "admin"), Account: account.ID, Roles: []string{key.RoleAdmin}}
	k := key.Key{AccessKey: "AK" + name, Secret: "secret of " + name, User: user.ID}
	if _, err := keys.CreateAccount(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := keys.CreateKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return backend.Caller{Principal: access.Principal{
		Account: account.ID, User: user.ID, Canonical: account.Canonical, AccessKey: k.AccessKey, Admin: true,
	}}
}

// create makes a bucket of alice's.
func (w *world) create(name string, c bucket.Config) bucket.Container {
	w.t.Helper()
	container, created, err := w.CreateContainer(w.t.Context(), w.alice, backend.NewContainer{
		Account: w.alice.Account, Name: naming.ContainerName(name), Bucket: naming.BucketName(name), Config: c,
	})
	if err != nil || !created {
		w.t.Fatalf("create %s: %v, %v", name, created, err)
	}
	return container
}

var anyone backend.Caller

func ref(name string) backend.Ref { return backend.Ref{Bucket: naming.BucketName(name)} }

func target(name string) backend.Target {
	return backend.Target{Container: ref("photos"), Name: naming.ObjectName(name)}
}

func version(name string, id object.VersionID) backend.Target {
	t := target(name)
	t.Which = meta.Which{By: meta.ByID, ID: id}
	return t
}

func body(data []byte) backend.Body {
	return backend.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}
}

func put(name string, data []byte) backend.PutRequest {
	return backend.PutRequest{Container: ref("photos"), Name: naming.ObjectName(name), Body: body(data)}
}

// put writes an object as alice.
func (w *world) put(name string, data []byte) *object.Version {
	w.t.Helper()
	v, err := w.Put(w.t.Context(), w.alice, put(name, data))
	if err != nil {
		w.t.Fatalf("put %s: %v", name, err)
	}
	return v
}

// read gives all bytes of an object as alice.
func (w *world) read(t backend.Target) []byte {
	w.t.Helper()
	data, err := w.tryRead(w.t.Context(), t)
	if err != nil {
		w.t.Fatalf("read %s: %v", t.Name, err)
	}
	return data
}

func (w *world) tryRead(ctx context.Context, t backend.Target) ([]byte, error) {
	o, err := w.Open(ctx, w.alice, t, object.Precondition{}, access.GetObject)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := o.CopyTo(ctx, &out, 0, o.Size); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// collect runs two rounds of garbage collection, late enough for every grace.
func (w *world) collect() {
	w.t.Helper()
	ctx := w.t.Context()
	for range 2 {
		now := w.clock.Advance(48 * time.Hour)
		if _, err := w.stores.Meta.Reap(ctx, now, 1000); err != nil {
			w.t.Fatal(err)
		}
		dead, err := w.stores.Meta.Dead(ctx, now, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.stores.Blobs.Release(ctx, dead); err != nil {
			w.t.Fatal(err)
		}
		if err := w.stores.Meta.Forget(ctx, dead); err != nil {
			w.t.Fatal(err)
		}
		var after *block.ID
		for {
			if _, after, err = w.stores.Blobs.Sweep(ctx, now, sweepAll, after); err != nil {
				w.t.Fatal(err)
			}
			if after == nil {
				break
			}
		}
	}
}

// blocks counts the stored blocks.
func (w *world) blocks() int {
	w.t.Helper()
	n := 0
	if err := w.stores.Blobs.Walk(w.t.Context(), nil, countBlocks(&n)); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// random gives n bytes that depend on the seed.
func random(seed uint64, n int) []byte {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	data := make([]byte, n)
	_, _ = io.ReadFull(rng, data)
	return data
}

func wantKind(t *testing.T, err error, k errs.Kind, thing errs.Thing) {
	t.Helper()
	if !errs.IsThing(err, k, thing) {
		t.Errorf("error %v, want %v of %v", err, k, thing)
	}
}

func wantReason(t *testing.T, err error, k errs.Kind, r errs.Reason) {
	t.Helper()
	if !errs.Is(err, k) || errs.ReasonOf(err) != r {
		t.Errorf("error %v, want %v because of %s", err, k, r)
	}
}
