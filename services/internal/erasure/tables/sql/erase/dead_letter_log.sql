-- A dead letter is one item with its bytes: it goes whole.
ALTER TABLE dead_letter_log {{on_cluster}}
DELETE
WHERE id IN {letters:Array(String)}
SETTINGS mutations_sync = 0
