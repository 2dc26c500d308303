package embedded

// Stats tells the state of the engine for the metrics: put is called with a name in Prometheus' form, what it means, and its value. A
// closed engine has none.
func (e *Engine) Stats(put func(name, help string, value float64)) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return
	}
	m := e.db.Metrics()
	put("pithos_engine_log_bytes", "Size of the write-ahead log on disk.", float64(m.WAL.PhysicalSize))
	put("pithos_engine_log_written_bytes", "Bytes written to the write-ahead log since the start.", float64(m.WAL.BytesWritten))
	put("pithos_engine_table_disk_bytes", "Space that rows and small blocks take on disk.", float64(m.DiskSpaceUsage()))
	put("pithos_engine_memtable_bytes", "Memory of the tables that are not flushed yet.", float64(m.MemTable.Size))
	put("pithos_engine_cache_bytes", "Memory of the cache of table blocks.", float64(m.BlockCache.Size))
	put("pithos_engine_cache_hits", "Look-ups that the cache of table blocks answered.", float64(m.BlockCache.Hits))
	put("pithos_engine_cache_misses", "Look-ups that had to read a table block.", float64(m.BlockCache.Misses))
	put("pithos_engine_read_amplification", "Tables that a read of a row may have to look into.", float64(m.ReadAmp()))
	put("pithos_engine_compactions", "Compactions of tables since the start.", float64(m.Compact.Count))
	put("pithos_engine_compaction_debt_bytes", "Bytes that tables are behind with compaction.", float64(m.Compact.EstimatedDebt))
	packs := e.segs.Packs()
	var size int64
	for _, p := range packs {
		size += p.Size
	}
	put("pithos_engine_packs", "Number of packs.", float64(len(packs)))
	put("pithos_engine_pack_bytes", "Size of all packs.", float64(size))
	b := e.blobs.Stats()
	put("pithos_engine_pending_blocks", "Blocks that wait for the next fsync of the packs.", float64(b.Pending))
	put("pithos_engine_damaged_blocks", "Blocks that were set aside because they are damaged.", float64(b.Damaged))
	put("pithos_engine_pack_syncs", "Rounds of fsyncs of the packs since the start.", float64(b.Rounds))
	put("pithos_engine_full", "1 when new data is refused because the disk is full.", e.space.refuses())
}
