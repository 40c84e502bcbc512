package native

import (
	"fmt"
	"strconv"
	"strings"
)

// sizes are the types whose values have the same number of bytes whatever their
// arguments are.
var sizes = map[string]int{
	"Bool": 1, "Int8": 1, "UInt8": 1, "Enum8": 1, "Nothing": 1,
	"Int16": 2, "UInt16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
	"Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "IPv4": 4, "Decimal32": 4, "Time": 4,
	"Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Decimal64": 8, "Time64": 8,
	"Int128": 16, "UInt128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16,
	"Int256": 32, "UInt256": 32, "Decimal256": 32,
}

// shapes are the types that are stored as another.
var shapes = map[string]string{
	"Point":           "Tuple(Float64, Float64)",
	"Ring":            "Array(Point)",
	"LineString":      "Array(Point)",
	"MultiLineString": "Array(LineString)",
	"Polygon":         "Array(Ring)",
	"MultiPolygon":    "Array(Polygon)",
}

// parseType returns the layout of the type called name, which is nested in depth
// other types. Errors wrap ErrUnsupported.
func parseType(name string, depth int) (column, error) {
	name = strings.TrimSpace(name)
	if depth > typeDepthMax {
		return nil, fmt.Errorf("type nested deeper than %d: %w", typeDepthMax, ErrUnsupported)
	}
	base, inner := name, ""
	if i := strings.IndexByte(name, '('); i >= 0 && strings.HasSuffix(name, ")") {
		base, inner = name[:i], name[i+1:len(name)-1]
	}
	if size, ok := sizes[base]; ok {
		return fixed(size), nil
	}
	if shape, ok := shapes[base]; ok {
		return parseType(shape, depth+1)
	}
	if strings.HasPrefix(base, "Interval") {
		return fixed(8), nil
	}
	switch base {
	case "String":
		return text{}, nil
	case "FixedString":
		size, err := strconv.Atoi(inner)
		if err != nil || size <= 0 {
			return nil, fmt.Errorf("%s: %w", name, ErrUnsupported)
		}
		return fixed(size), nil
	case "Decimal":
		return parseDecimal(inner)
	}
	return parseComposite(name, base, inner, depth)
}

// parseComposite parses a type that is made of others.
func parseComposite(name, base, inner string, depth int) (column, error) {
	args := splitArguments(inner)
	switch {
	case base == "Tuple" || base == "Nested":
		for i := range args {
			args[i] = withoutName(args[i])
		}
	case base == "SimpleAggregateFunction" && len(args) == 2:
		return parseType(args[1], depth+1)
	}
	var of []column
	for _, arg := range args {
		c, err := parseType(arg, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		of = append(of, c)
	}
	switch {
	case base == "Tuple" && len(of) == 0:
		return fixed(1), nil
	case base == "Tuple":
		return tuple(of), nil
	case base == "Nested" && len(of) > 0:
		return array{tuple(of)}, nil
	case base == "Variant" && len(of) > 0 && len(of) < variantNull:
		return variant(of), nil
	case base == "Map" && len(of) == 2:
		return array{tuple(of)}, nil
	case base == "Nullable" && len(of) == 1:
		return nullable{of[0]}, nil
	case base == "Array" && len(of) == 1:
		return array{of[0]}, nil
	case base == "LowCardinality" && len(of) == 1:
		if n, ok := of[0].(nullable); ok {
			return lowCardinality(n), nil
		}
		return lowCardinality{of[0]}, nil
	}
	return nil, fmt.Errorf("%s: %w", name, ErrUnsupported)
}

// parseDecimal sizes Decimal(precision, scale).
func parseDecimal(inner string) (column, error) {
	digits, _, _ := strings.Cut(inner, ",")
	precision, err := strconv.Atoi(strings.TrimSpace(digits))
	switch {
	case err != nil || precision < 1 || precision > 76:
		return nil, fmt.Errorf("Decimal(%s): %w", inner, ErrUnsupported)
	case precision <= 9:
		return fixed(4), nil
	case precision <= 18:
		return fixed(8), nil
	case precision <= 38:
		return fixed(16), nil
	}
	return fixed(32), nil
}

// splitArguments splits at the commas outside parentheses and quotes.
func splitArguments(inner string) []string {
	if strings.TrimSpace(inner) == "" {
		return nil
	}
	var args []string
	depth, start := 0, 0
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; c {
		case '\'', '`', '"':
			i = endOfQuoted(inner, i)
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, inner[start:i])
				start = i + 1
			}
		}
	}
	return append(args, inner[start:])
}

// endOfQuoted returns the position of the quote that closes the one at start, or
// the last position when there is none.
func endOfQuoted(s string, start int) int {
	for i := start + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[start]:
			return i
		}
	}
	return len(s) - 1
}

// withoutName removes the name an element of a tuple may have before its type.
func withoutName(element string) string {
	element = strings.TrimSpace(element)
	if element != "" && (element[0] == '`' || element[0] == '"') {
		return element[endOfQuoted(element, 0)+1:]
	}
	space, open := strings.IndexByte(element, ' '), strings.IndexByte(element, '(')
	if space >= 0 && (open < 0 || space < open) {
		return element[space:]
	}
	return element
}
