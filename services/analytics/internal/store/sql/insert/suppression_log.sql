-- Stores records of email.suppressions.
INSERT INTO suppression_log
(
    recipient_hash, version, deleted, address, updated_at,
    `entries.scope`, `entries.reason`, `entries.added_at`, `entries.removed_at`, `entries.expires_at`,
    `entries.since`, `entries.evidence`, `entries.provider`, `entries.source`, `entries.note`,
    `entries.removed_by`, `entries.removed_note`
)
