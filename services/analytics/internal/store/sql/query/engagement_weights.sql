-- The weights that the view engagement uses.
SELECT half_life, click, open, sources FROM engagement_weights ORDER BY set_at DESC LIMIT 1
