package engine_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// TestHTTP_NativeHasTheRevisionAskedFor compares the oldest revision, as the engine
// writes it, with a newer one: in a block of one column only the two headers differ,
// whatever the type.
func TestHTTP_NativeHasTheRevisionAskedFor(t *testing.T) {
	e := enginetest.Start(t)
	expressions := []string{
		"number", "toInt8(number)", "toUInt16(number)", "toInt128(number)", "toUInt256(number)", "toFloat32(number)", "toBFloat16(number)",
		"toString(number)", "''", "toFixedString('abc', 3)", "number % 2 = 0", "toUUID('018f3c5e-7b1a-8d3e-9f10-000000000000')", "toIPv4('1.2.3.4')", "toIPv6('::1')",
		"toDate('2026-01-01') + number", "toDate32('2026-01-01')", "toDateTime(1700000000 + number)", "toDateTime64('2026-01-01 00:00:00.123456789', 9)", "toDateTime('2026-01-01 00:00:00', 'Europe/Berlin')",
		"toDecimal32(1, 2)", "toDecimal64(1, 2)", "toDecimal128(1, 2)", "toDecimal256(1, 2)", "toIntervalDay(number)",
		"NULL", "[]", "tuple()", "if(number % 2 = 0, NULL, toString(number))", "[toString(number), 'b']", "arrayMap(x -> range(x), range(number))",
		"toLowCardinality(toString(number % 3))", "toLowCardinality(if(number % 2 = 0, NULL, 'a'))", "CAST(number % 3, 'LowCardinality(UInt64)')",
		"[toLowCardinality('a')]", "map('a', number)", "map(toLowCardinality('a'), [number])", "CAST(map(), 'Map(String, UInt8)')",
		"(number, 'a', [NULL, 1])", "CAST((1, 'x'), 'Tuple(a UInt8, `b, (c` String)')", "CAST('b', 'Enum8(\\'a,)\\' = 1, \\'b\\' = 2)')", "CAST('b', 'Enum16(\\'b\\' = 1000)')",
		"CAST((1, 2), 'Point')", "CAST([(1, 2)], 'Ring')", "CAST([[(1, 2)]], 'Polygon')", "CAST([[[(1, 2)]]], 'MultiPolygon')",
		"CAST([(1, 'a')], 'Nested(n UInt8, s String)')", "CAST(number, 'SimpleAggregateFunction(max, UInt64)')",
		"CAST(if(number % 2 = 0, 'a', NULL), 'Variant(UInt64, String)')", "CAST(number, 'Variant(UInt64, String, Array(LowCardinality(String)))')",
		"CAST('12:00:00', 'Time')", "CAST('12:00:00', 'Time64(3)')",
	}
	for _, expression := range expressions {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			const rows = 100
			statement := fmt.Sprintf("SELECT %s AS x FROM numbers(%d) FORMAT Native SETTINGS max_block_size = 1000, max_threads = 1", expression, rows)
			ask := func(revision string) string {
				r := do(t, e.URL(), call{params: url.Values{"client_protocol_version": {revision}, "allow_suspicious_low_cardinality_types": {"1"}, "enable_time_time64_type": {"1"}}, body: statement})
				if r.status != http.StatusOK {
					t.Fatalf("answer %d %s", r.status, r.body)
				}
				return r.body
			}
			plain := ask("0")
			typeLength := int(plain[4])
			if plain[0] != 1 || plain[1] != rows || plain[2] != 1 || typeLength >= 0x80 {
				t.Fatalf("block begins with %q", plain[:min(len(plain), 20)])
			}
			head, values := plain[:5+typeLength], plain[5+typeLength:]
			info := "\x01\x00\x02\xff\xff\xff\xff\x00"
			for revision, want := range map[string]string{"51902": plain, "51903": info + plain, "54454": info + head + "\x00" + values, "54510": info + head + "\x00" + values} {
				if got := ask(revision); got != want {
					t.Errorf("revision %s of %s: %d bytes, want %d", revision, head[5:], len(got), len(want))
				}
			}
		})
	}
}

func TestHTTP_NativeRefusesWhatItCannotRewrite(t *testing.T) {
	e := enginetest.Start(t)
	for _, expression := range []string{"countState()", "groupArrayState(number)", "any(CAST(number, 'Dynamic'))", "any(CAST('{}', 'JSON'))"} {
		r := do(t, e.URL(), call{
			params: url.Values{"client_protocol_version": {"54460"}, "default_format": {"Native"}, "compress": {"0"}},
			body:   "SELECT 1, " + expression + " FROM numbers(10)",
		})
		if r.status != http.StatusNotImplemented || !strings.HasPrefix(r.body, "Code: 48. DB::Exception: ") {
			t.Errorf("%s: answer %d %.200q", expression, r.status, r.body)
		}
	}
}
