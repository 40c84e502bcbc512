-- Takes deleted rows off the disk.
ALTER TABLE event_log {{on_cluster}} APPLY DELETED MASK
SETTINGS mutations_sync = 0
