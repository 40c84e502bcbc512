-- Takes deleted rows off the disk.
ALTER TABLE dead_letter_log {{on_cluster}} APPLY DELETED MASK
SETTINGS mutations_sync = 0
