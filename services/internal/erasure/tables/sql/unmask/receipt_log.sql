-- Takes deleted rows off the disk.
ALTER TABLE receipt_log {{on_cluster}} APPLY DELETED MASK
SETTINGS mutations_sync = 0
