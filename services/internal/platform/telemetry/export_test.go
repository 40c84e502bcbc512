package telemetry

// Capped is what NewLogger puts around its logger.
var Capped = capped
