-- Takes deleted rows off the disk.
ALTER TABLE suppression_log {{on_cluster}} APPLY DELETED MASK
SETTINGS mutations_sync = 0
