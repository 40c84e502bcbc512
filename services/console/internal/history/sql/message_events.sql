-- The timeline of one message: each event once, with how often it was received. Repeats that
-- merges have removed are no longer counted. Found by the index of message_id.
SELECT
    toString(l.id) AS event_id, any(l.type) AS event_type, min(l.time) AS at, min(l.received_at) AS received, count() AS seen,
    any(l.provider) AS provider, any(l.source) AS source, any(l.provider_event) AS provider_event, any(l.message_id) AS message_id,
    any(l.recipient) AS recipient, any(l.recipient_hash) AS recipient_hash, any(l.recipient_domain) AS recipient_domain,
    any(l.mailbox_provider) AS mailbox_provider, any(l.campaign) AS campaign, any(l.bounce_type) AS bounce_type,
    argMax(l.reason, l.received_at) AS reason, argMax(l.cause, l.received_at) AS cause, argMax(l.confidence, l.received_at) AS confidence,
    argMax(l.classifier, l.received_at) AS classifier, argMax(l.permanent, l.received_at) AS permanent, any(l.smtp_code) AS smtp_code,
    any(l.enhanced_code) AS enhanced_code, any(l.smtp_reply) AS smtp_reply, any(l.blocklist) AS blocklist, any(l.blocklist_url) AS blocklist_url,
    any(l.url) AS url, any(l.user_agent) AS user_agent, any(l.machine) AS machine, any(l.sending_ip) AS sending_ip, any(l.feedback_source) AS feedback_source
FROM event_log AS l
WHERE l.message_id = {message:String} AND ({source:String} = '' OR l.source = {source:String})
GROUP BY l.id
ORDER BY at DESC, event_id
LIMIT {limit:UInt32}
