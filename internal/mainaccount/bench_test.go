// SPDX-License-Identifier: Apache-2.0

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

// A sweep pays this for each row that it reads again unchanged.
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

// docs/benchmarks.md has the size of a row.
func TestInventory_Row_IsSmall(t *testing.T) {
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
	ids = ids[:0] // the inventory shares the strings
	each := (heap() - before) / n
	runtime.KeepAlive(ids)
	runtime.KeepAlive(v)
	t.Logf("%d bytes per row", each)
	if each > most {
		t.Errorf("got %d bytes per row, want at most %d", each, most)
	}
}
