-- Stores records of email.alerts.
INSERT INTO alert_log
(
    fingerprint, incident, version, rule, labels, state, state_since, value, peak, threshold, min_volume, delivered, bounced, blocked, causes,
    `reasons.reason`, `reasons.cause`, `reasons.count`, `reasons.sample`,
    window, since, updated_at, resolved_at, ended, inhibited_by, notified_at, owed, late
)
