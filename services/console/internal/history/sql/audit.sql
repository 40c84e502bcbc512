-- Audit: who looked at people and who changed what, the latest first. Reads the months
-- asked for.
SELECT time AS at, by, role, action, object, note
FROM audit_log
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
    AND ({action:String} = '' OR action = {action:String})
    AND ({object:String} = '' OR object = {object:String})
ORDER BY at DESC, id
LIMIT {limit:UInt32}
