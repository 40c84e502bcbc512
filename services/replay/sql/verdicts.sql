-- What is stored of these events. The key is source, type, hour and time, so that of each
-- only the rows of its hour are read. machine is without what analytics judged after the
-- fact, as in page.sql.
SELECT toString(id) AS id, type, bounce_type, reason, cause, confidence, blocklist, permanent,
    if(machine_reason = '', machine, machine_before) AS machine
FROM event_log FINAL
WHERE time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')}
  AND toStartOfHour(time) IN {hours:Array(DateTime('UTC'))}
  AND source IN {sources:Array(String)}
  AND type IN {types:Array(String)}
  AND toString(id) IN {ids:Array(String)}
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    apply_mutations_on_fly = 1
