-- What became of dead letters.
SELECT id, state FROM dead_letters WHERE id IN {ids:Array(String)}
