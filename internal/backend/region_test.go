package backend_test

import (
	"bytes"
	"testing"

	"pithos/internal/backend"
	"pithos/internal/block"
	"pithos/internal/clock"
	"pithos/internal/engine/memory"
	"pithos/internal/engine/regions"
	"pithos/internal/errs"
	"pithos/internal/naming"
	"pithos/internal/store/bucket"
	"pithos/internal/store/meta"
)

const north = "north"

// inRegions makes one metastore of two.
func inRegions(t *testing.T, here, there meta.Store) meta.Store {
	t.Helper()
	s, err := regions.New([]regions.Region{{Name: "us-east-1", Store: here}, {Name: north, Store: there}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestInAFurtherRegion runs what writes in many ways where the bucket lives in another region than the default one.
func TestInAFurtherRegion(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"cut":         TestACutBodyLeavesTheOldObject,
		"copy":        TestACopySharesItsSourcesBlocks,
		"replaced":    TestACopyOfAReplacedSourceTakesTheNewOne,
		"parts":       TestPartsAreLaidEndToEnd,
		"part copy":   TestAPartIsCopiedByReference,
		"marker":      TestWithVersioningADeleteIsAMarker,
		"past":        TestTimeTravel,
		"quota":       TestAQuotaIsExactUnderParallelWriters,
		"hashmap":     TestAnObjectIsMadeOfBlocksThatWereSent,
		"possession":  TestKnowingAHashGivesNobodyBytes,
		"lease":       TestALeaseEnds,
		"appends":     TestParallelAppendsDoNotOverlap,
		"folders":     TestATreeIsCopiedMovedAndDeleted,
		"purge":       TestHistoryIsPurgedByTime,
		"sealed":      TestWhatIsEncryptedIsRead,
		"sealed copy": TestCopiesBetweenAllModes,
	} {
		t.Run(name, test)
	}
}

// acrossRegions is a world with a bucket in each of two regions: photos in the default one, and auroras.
func acrossRegions(t *testing.T, change ...func(*backend.Stores, *backend.Options)) *sealedWorld {
	t.Helper()
	split := func(s *backend.Stores, _ *backend.Options) {
		s.Meta = inRegions(t, s.Meta, memory.New(clock.System{}).Meta())
	}
	w := newSealedWorld(t, append(change, split)...)
	made, _, err := w.CreateContainer(t.Context(), w.alice, backend.NewContainer{Account: w.alice.Account, Name: "auroras", Bucket: "auroras", Region: north})
	if err != nil || made.Region != north || w.bucket.Region != "us-east-1" {
		t.Fatalf("regions %q, %q, %v", w.bucket.Region, made.Region, err)
	}
	return w
}

func aurora(name string) backend.Target {
	return backend.Target{Container: ref("auroras"), Name: naming.ObjectName(name)}
}

// treeSize is that of an object whose map is a tree, with the smallest blocks.
const treeSize = (block.InlineMax + 5) * block.SizeMin

// TestACopyAcrossRegionsMovesNoData copies and moves to the other region, removes the source and collects: the copy has all its blocks.
func TestACopyAcrossRegionsMovesNoData(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		keep int
		mode string
	}{
		"empty":                {0, 0, ""},
		"of one block":         {100, 0, ""},
		"of many blocks":       {3*blockSize + 7, 0, ""},
		"with a tree of maps":  {treeSize, 0, ""},
		"kept in its version":  {100, blockSize, ""},
		"encrypted":            {3*blockSize + 7, 0, "service"},
		"only zeros":           {-2 * blockSize, 0, ""},
		"encrypted and a byte": {1, 0, "service"},
	} {
		t.Run(name, func(t *testing.T) {
			w := acrossRegions(t, func(_ *backend.Stores, o *backend.Options) {
				o.KeepMax = c.keep
				if c.size == treeSize {
					o.BlockSize = block.SizeMin
				}
			})
			data := make([]byte, max(-c.size, 0))
			if c.size > 0 {
				data = random(1, c.size)
			}
			r := put("source", data)
			r.Attributes.Encryption = w.encryption(c.mode)
			source, err := w.Put(t.Context(), w.alice, r)
			if err != nil {
				t.Fatal(err)
			}
			stored := w.blocks()
			cr := backend.CopyRequest{Source: target("source"), Container: ref("auroras"), Name: "copy", Attributes: backend.Attributes{Encryption: r.Attributes.Encryption}}
			v, _, err := w.Copy(t.Context(), w.alice, cr)
			if err != nil {
				t.Fatal(err)
			}
			if w.blocks() != stored || !v.Content.Holder.IsZero() && v.Content.Holder == source.Content.Holder {
				t.Errorf("%d blocks instead of %d, holders %s and %s", w.blocks(), stored, v.Content.Holder, source.Content.Holder)
			}
			if v.RootHash != source.RootHash {
				t.Error("the root hash is another")
			}
			cr.Name = "moved"
			if _, err := w.Move(t.Context(), w.alice, cr); err != nil {
				t.Fatal(err)
			}
			w.collect()
			for _, name := range []string{"copy", "moved"} {
				if got, err := w.readSealed(aurora(name), c.mode, 0, int64(len(data))); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: %d other bytes are read, %v", name, len(got), err)
				}
			}
			for _, name := range []string{"copy", "moved"} {
				if _, err := w.Delete(t.Context(), w.alice, backend.DeleteRequest{Target: aurora(name)}); err != nil {
					t.Fatal(err)
				}
			}
			w.collect()
			if n := w.blocks(); n != 0 {
				t.Errorf("%d blocks are left", n)
			}
		})
	}
}

// TestACopyAcrossRegionsIsAdmitted holds the account's quota over both regions.
func TestACopyAcrossRegionsIsAdmitted(t *testing.T) {
	w := acrossRegions(t, func(_ *backend.Stores, o *backend.Options) { o.DefaultQuota = bucket.Limit{Bytes: 150} })
	w.put("source", random(1, 100))
	cr := backend.CopyRequest{Source: target("source"), Container: ref("auroras"), Name: "copy"}
	if _, _, err := w.Copy(t.Context(), w.alice, cr); !errs.Is(err, errs.Quota) {
		t.Error(err)
	}
	if u, err := w.AccountUsage(t.Context(), w.alice, w.alice.Account); err != nil || u.Bytes != 100 {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestAnUnknownRegionIsRefused names a region that there is not.
func TestAnUnknownRegionIsRefused(t *testing.T) {
	w := acrossRegions(t)
	_, _, err := w.CreateContainer(t.Context(), w.alice, backend.NewContainer{Account: w.alice.Account, Name: "x", Region: "nowhere"})
	if !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}
