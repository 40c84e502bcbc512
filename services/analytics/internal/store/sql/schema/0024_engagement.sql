-- Who reads what we send: acts of people alone, weighed by their age. It is worked out
-- when it is asked, from the events by person, so that it forgets who is forgotten and
-- follows every judgement; one person costs one or two blocks of rows, all of them a
-- pass over the key and a few columns. `mailstream migrate` writes the weights of the
-- configuration.
CREATE TABLE IF NOT EXISTS engagement_weights {{on_cluster}}
(
    half_life Float64 COMMENT 'Days after which an act counts half',
    click Float64,
    open Float64,
    sources Array(String) COMMENT 'Whose recipients are scored; empty: all',
    set_at DateTime64(3, 'UTC')
)
ENGINE = {{replicated}}ReplacingMergeTree(set_at)
ORDER BY tuple()
COMMENT 'Weights of the view engagement; the latest row counts';

INSERT INTO engagement_weights (half_life, click, open, sources, set_at)
SELECT 30, 1, 0.25, [], toDateTime64('2000-01-01 00:00:00', 3, 'UTC');

CREATE VIEW IF NOT EXISTS engagement {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address. Rows are looked up by it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    score Float64 COMMENT 'Sum of the weights of all opens and clicks of the person, each halved per half-life of age; 0 once left',
    tier LowCardinality(String) COMMENT 'By the age of the last act: active (30 days), cooling (90), dormant (180), lapsed, never; left: complained or unsubscribed',
    last_act Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest open or click of the person; NULL here and below: never',
    last_click Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest click of the person',
    last_open Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest open of the person',
    left_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest complaint or unsubscription that no subscription came after',
    sent_90d UInt64 COMMENT 'Messages of the last 90 days',
    sent_since_last_act UInt64 COMMENT 'Messages first sent after last_act; all, where there was none',
    because Array(Tuple(time DateTime64(3, 'UTC'), type String, message_id String, points Float64)) COMMENT 'The five acts that add most to the score'
)
AS WITH
    (SELECT (half_life, click, open, sources) FROM engagement_weights ORDER BY set_at DESC LIMIT 1) AS weights,
    now64(3, 'UTC') AS present
SELECT
    recipient_hash, source,
    if(left_at IS NULL, points, 0.) AS score,
    multiIf(left_at IS NOT NULL, 'left', last_act IS NULL, 'never', last_act >= present - toIntervalDay(30), 'active',
        last_act >= present - toIntervalDay(90), 'cooling', last_act >= present - toIntervalDay(180), 'dormant', 'lapsed') AS tier,
    nullIf(greatest(ifNull(last_click, toDateTime64(0, 3, 'UTC')), ifNull(last_open, toDateTime64(0, 3, 'UTC'))), toDateTime64(0, 3, 'UTC')) AS last_act,
    last_click, last_open,
    if(left_last IS NULL OR ifNull(back > left_last, false), NULL, left_last) AS left_at,
    sent_90d,
    length(arrayDistinct(arrayMap(m -> m.1, sends)))
        - length(arrayDistinct(arrayMap(m -> m.1, arrayFilter(m -> m.2 <= ifNull(last_act, toDateTime64(0, 3, 'UTC')), sends)))) AS sent_since_last_act,
    if(left_at IS NULL, arrayMap(a -> (a.2, a.3, a.4, -a.1), best), []) AS because
FROM
(
    SELECT
        recipient_hash, source,
        sumIf(worth, worth > 0) AS points,
        groupArraySortedIf(5)((-worth, time, toString(type), message_id), worth > 0) AS best,
        maxOrNullIf(time, type = 'clicked' AND by_person) AS last_click,
        maxOrNullIf(time, type = 'opened' AND by_person) AS last_open,
        maxOrNullIf(time, type IN ('complained', 'unsubscribed')) AS left_last,
        maxOrNullIf(time, type = 'subscribed') AS back,
        groupArrayIf((message_id, time), is_send) AS sends,
        uniqExactIf(message_id, is_send AND time >= present - toIntervalDay(90)) AS sent_90d
    FROM
    (
        SELECT
            recipient_hash, source, type, time, message_id,
            NOT ifNull(machine, false) AS by_person,
            message_id != '' AND type IN ('processed', 'delivered', 'bounced', 'blocked') AS is_send,
            assumeNotNull(if(by_person, multiIf(type = 'clicked', weights.2, type = 'opened', weights.3, 0), 0)
                * exp2(-greatest(0, dateDiff('second', time, present)) / (86400 * weights.1))) AS worth
        FROM person_log FINAL
        WHERE type IN ('processed', 'delivered', 'bounced', 'blocked', 'opened', 'clicked', 'complained', 'unsubscribed', 'subscribed')
          AND (empty(weights.4) OR has(weights.4, source))
    )
    GROUP BY recipient_hash, source
)
SETTINGS apply_mutations_on_fly = 1;
