-- A person's story, as docs/sql.md has it asked.
SELECT time, type, message_id FROM person_messages WHERE recipient_hash = '{{value}}' ORDER BY ALL
