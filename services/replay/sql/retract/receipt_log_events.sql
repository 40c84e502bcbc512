-- What receipt_log calls events, in their order.
SELECT toString(sipHash64(toUUID({ids:Array(String)}[i]))) AS hash
FROM (SELECT arrayJoin(arrayEnumerate({ids:Array(String)})) AS i)
ORDER BY i
