module github.com/mailstream/mailstream/examples

go 1.26.0

require (
	github.com/mailstream/mailstream/client v0.0.0
	github.com/mailstream/mailstream/schemas v0.0.0
	github.com/segmentio/kafka-go v0.4.51
)

require (
	github.com/klauspost/compress v1.15.9 // indirect
	github.com/pierrec/lz4/v4 v4.1.15 // indirect
)

replace (
	github.com/mailstream/mailstream/client => ../client
	github.com/mailstream/mailstream/schemas => ../schemas
)
