package config

// nearest returns the name among known that name was most likely meant to be, ""
// when none is near: a third of it may differ.
func nearest(name string, known []string) string {
	best, least := "", max(len(name)/3, 1)+1
	for _, candidate := range known {
		if distance := editDistance(name, candidate); distance < least {
			best, least = candidate, distance
		}
	}
	return best
}

// nameBytesMax bounds what is compared: longer keys are not misspelt names.
const nameBytesMax = 64

// editDistance counts the letters to insert, remove, replace or swap with their
// neighbour (Damerau and Levenshtein) to make b of a.
func editDistance(a, b string) int {
	if len(a) > nameBytesMax || len(b) > nameBytesMax {
		return nameBytesMax
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
