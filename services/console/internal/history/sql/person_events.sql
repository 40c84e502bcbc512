-- The timeline of one person: each event once, by the view that hides who is forgotten at
-- once, with how often it was received. Repeats that merges have removed are no longer
-- counted. Reads the blocks of the person, then the days that have events of theirs.
SELECT
    toString(p.id) AS event_id, p.type AS event_type, p.time AS at, c.first_received AS received, c.seen AS seen,
    p.provider AS provider, p.source AS source, p.provider_event AS provider_event, p.message_id AS message_id,
    p.recipient AS recipient, p.recipient_hash AS recipient_hash, p.recipient_domain AS recipient_domain,
    p.mailbox_provider AS mailbox_provider, p.campaign AS campaign, p.subject AS subject, p.template AS template,
    p.bounce_type AS bounce_type, p.reason AS reason, p.cause AS cause, p.confidence AS confidence, c.classifier AS classifier,
    p.permanent AS permanent, p.smtp_code AS smtp_code, p.enhanced_code AS enhanced_code, p.smtp_reply AS smtp_reply,
    p.blocklist AS blocklist, c.blocklist_url AS blocklist_url, p.url AS url, p.user_agent AS user_agent, p.machine AS machine,
    p.sending_ip AS sending_ip, p.ip_pool AS ip_pool, p.feedback_source AS feedback_source, p.origin AS origin
FROM
(
    SELECT *
    FROM person_messages
    WHERE recipient_hash = {hash:String}
    ORDER BY time DESC, id
    LIMIT {limit:UInt32}
) AS p
LEFT JOIN
(
    SELECT id, count() AS seen, min(received_at) AS first_received, argMax(classifier, received_at) AS classifier, any(blocklist_url) AS blocklist_url
    FROM event_log
    WHERE recipient_hash = {hash:String} AND toDate(time) IN (SELECT day FROM person_messages WHERE recipient_hash = {hash:String})
    GROUP BY id
) AS c ON p.id = c.id
ORDER BY at DESC, event_id
