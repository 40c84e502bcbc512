-- Stores records of email.audit.
INSERT INTO audit_records
(
    id, time, by, role, action, object, note
)
