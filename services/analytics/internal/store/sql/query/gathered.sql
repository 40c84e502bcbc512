-- Notes how far is gathered.
INSERT INTO day_gathers (work, until) SELECT 'day_state', {until:DateTime('UTC')}
