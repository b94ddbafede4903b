package mainaccount

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

func filled(n int) (inventory, []string) {
	v, ids := newInventory(), make([]string, 0, n)
	for i := range n {
		id := fmt.Sprintf("SA%018d", i)
		ids = append(ids, id)
		v.setRead(id, row{name: fmt.Sprintf("The name of tenant %d", i), enabled: true, digest: [16]byte{byte(i)}}, time.Now())
	}
	return v, ids
}

// What a row costs that a sweep has read again unchanged.
func BenchmarkInventoryRead(b *testing.B) {
	v, ids := filled(10_000)
	again := v.rows[ids[0]]
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v.setRead(ids[i%len(ids)], again, time.Now())
		i++
	}
}

// TestARowOfTheInventoryIsSmall: docs/benchmarks.md has the figure.
func TestARowOfTheInventoryIsSmall(t *testing.T) {
	const n, most = 10_000, 300
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	v, ids := filled(n)
	ids = ids[:0] // the strings themselves are the inventory's too
	each := (heap() - before) / n
	runtime.KeepAlive(ids)
	runtime.KeepAlive(v)
	t.Logf("%d bytes each", each)
	if each > most {
		t.Errorf("%d bytes each, and at most %d are allowed", each, most)
	}
}
