-- Dead letters by why they are there, the most first.
SELECT service, reason, provider, source, state, count() AS letters, min(time) AS oldest, max(time) AS newest, any(detail) AS detail
FROM dead_letters
WHERE ({all:UInt8} OR id IN {ids:Array(String)})
  AND (empty({service:String}) OR service = {service:String})
  AND (empty({reason:String}) OR reason = {reason:String})
  AND (empty({provider:String}) OR provider = {provider:String})
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({state:String}) OR state = {state:String})
  AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
GROUP BY service, reason, provider, source, state
ORDER BY letters DESC, service, reason, provider, source, state
LIMIT {limit:UInt32}
