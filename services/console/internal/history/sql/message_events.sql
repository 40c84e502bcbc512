-- The timeline of one message: each event once, by the view that hides who is forgotten at
-- once; receipts.sql says how often it was received.
SELECT
    toString(p.id) AS event_id, p.type AS event_type, p.time AS at, p.received_at AS received,
    p.provider AS provider, p.source AS source, p.provider_event AS provider_event, p.message_id AS message_id,
    p.recipient AS recipient, p.recipient_hash AS recipient_hash, p.recipient_domain AS recipient_domain,
    p.mailbox_provider AS mailbox_provider, p.campaign AS campaign, p.subject AS subject, p.template AS template,
    p.bounce_type AS bounce_type, p.reason AS reason, p.cause AS cause, p.confidence AS confidence, p.classifier AS classifier,
    p.permanent AS permanent, p.smtp_code AS smtp_code, p.enhanced_code AS enhanced_code, p.smtp_reply AS smtp_reply,
    p.blocklist AS blocklist, p.blocklist_url AS blocklist_url, p.url AS url, p.user_agent AS user_agent, p.machine AS machine,
    p.sending_ip AS sending_ip, p.sending_domain AS sending_domain, p.ip_pool AS ip_pool, p.feedback_source AS feedback_source, p.origin AS origin
FROM message_story(message_id = {message:String}) AS p
WHERE {source:String} = '' OR p.source = {source:String}
ORDER BY p.time DESC, p.id
LIMIT {limit:UInt32}
