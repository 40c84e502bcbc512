-- Dead letters in the order of their ids, which does not change while they are worked
-- on.
SELECT id, time, service, reason, detail, provider, source, origin, bytes, received_at, state, state_at, operation, note
FROM dead_letters
WHERE ({all:UInt8} OR id IN {ids:Array(String)})
  AND (empty({service:String}) OR service = {service:String})
  AND (empty({reason:String}) OR reason = {reason:String})
  AND (empty({provider:String}) OR provider = {provider:String})
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({state:String}) OR state = {state:String})
  AND time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND id > {after:String}
ORDER BY id
LIMIT {limit:UInt32}
