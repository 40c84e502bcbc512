package tidy

import (
	"regexp"
	"strconv"
	"strings"
)

// manyLines is the line of an archive that stands for many.
var manyLines = regexp.MustCompile(`(?m)^(.*)%(\d+) lines%$`)

// expand repeats the text before `%N lines%` N times.
func expand(content []byte) []byte {
	return manyLines.ReplaceAllFunc(content, func(line []byte) []byte {
		m := manyLines.FindSubmatch(line)
		n, err := strconv.Atoi(string(m[2]))
		if err != nil {
			panic(err) // the pattern matches digits only
		}
		return []byte(strings.TrimSuffix(strings.Repeat(string(m[1])+"\n", n), "\n"))
	})
}

func itoa(n int) string { return strconv.Itoa(n) }
