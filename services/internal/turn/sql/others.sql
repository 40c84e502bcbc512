-- Those of works that have their turn.
SELECT DISTINCT work FROM turns FINAL WHERE work IN {works:Array(String)} AND until > now64(3, 'UTC')
