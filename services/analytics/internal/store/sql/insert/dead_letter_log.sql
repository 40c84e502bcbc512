-- Stores records of email.dead-letter, and what there was none.
INSERT INTO dead_letter_log
(
    id, time, service, reason, detail, provider, source, origin, bytes, received_at
)
