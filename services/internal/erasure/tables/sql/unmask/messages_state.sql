-- Takes deleted rows off the disk.
ALTER TABLE messages_state {{on_cluster}} APPLY DELETED MASK
SETTINGS mutations_sync = 0
