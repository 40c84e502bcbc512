-- Gives the view engagement other weights.
INSERT INTO engagement_weights (half_life, click, open, sources, set_at)
SELECT {half_life:Float64}, {click:Float64}, {open:Float64}, {sources:Array(String)}, now64(3, 'UTC')
