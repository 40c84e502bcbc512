module github.com/mailstream/mailstream/schemas

go 1.26.0
