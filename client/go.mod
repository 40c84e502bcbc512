module github.com/mailstream/mailstream/client

go 1.26.0
