-- The next events of a stretch of at most an hour, in an order that does not depend
-- on merges, after the position reached. machine is without what analytics judged after
-- the fact, which it will judge anew.
SELECT
    toString(id) AS id, type, time, received_at, provider, source, provider_event, provider_event_id, message_id,
    recipient, recipient_domain, recipient_hash, mailbox_provider, campaign, tags, metadata, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, classifier, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, blocklist_subject, blocklist_url, url, ip, user_agent, country,
    if(machine_reason = '', machine, machine_before) AS machine, feedback_source, list_id, sending_ip, ip_pool, raw
FROM event_log FINAL
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({types:Array(String)}) OR type IN {types:Array(String)})
  AND (empty({after:String}) OR (time, toString(id)) > ({from:DateTime64(3, 'UTC')}, {after:String}))
ORDER BY time, toString(id)
LIMIT {limit:UInt32}
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    apply_mutations_on_fly = 1
