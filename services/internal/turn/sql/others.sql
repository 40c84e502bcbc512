-- Other works that have their turn.
SELECT DISTINCT work FROM turns FINAL WHERE work != {work:String} AND until > now64(3, 'UTC')
