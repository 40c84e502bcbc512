package clickhousetest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// query answers what is not an insert.
func (s *Server) query(w http.ResponseWriter, req Request) {
	a := s.find(req)
	if fault, _ := s.note(req); fault.Code != 0 {
		exception(w, http.StatusInternalServerError, fault.Code, "asked to fail")
		return
	}
	if len(a.columns) == 0 {
		w.WriteHeader(http.StatusOK) // a statement without a result
		return
	}
	if err := a.write(w, req.Settings); err != nil {
		exception(w, http.StatusInternalServerError, 1002, err.Error())
	}
}

// find returns the answer to a query: a canned one first.
func (s *Server) find(req Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if strings.Contains(req.Statement, a.contains) {
			return a
		}
	}
	switch {
	case strings.Contains(req.Statement, "displayName()"):
		return answer{
			columns: []string{"displayName() String", "version() String", "revision() UInt32", "timezone() String"},
			rows:    [][]any{{"stand-in", "26.3.1.1", uint32(54480), "UTC"}},
		}
	case strings.Contains(req.Statement, "system.settings"):
		a := answer{columns: []string{"name String"}}
		for _, name := range s.asked(req) {
			a.rows = append(a.rows, []any{name})
		}
		return a
	case strings.HasPrefix(strings.TrimSpace(req.Statement), "SELECT 1"):
		return answer{columns: []string{"1 UInt8"}, rows: [][]any{{uint8(1)}}}
	}
	return answer{}
}

// asked returns the names of settings in a query that s knows; s.mu is held.
func (s *Server) asked(req Request) []string {
	var names []string
	for _, name := range strings.Split(strings.Trim(req.Settings["param_names"], "[]"), ",") {
		if name = strings.Trim(name, "'"); s.settings == nil || contains(s.settings, name) {
			names = append(names, name)
		}
	}
	return names
}

// write sends a as a Native block in the revision that was asked for.
func (a answer) write(w http.ResponseWriter, settings map[string]string) error {
	var block proto.Block
	for _, c := range a.columns {
		name, typ, _ := strings.Cut(c, " ")
		if err := block.AddColumn(name, column.Type(typ)); err != nil {
			return err
		}
	}
	for _, row := range a.rows {
		if err := block.Append(row...); err != nil {
			return err
		}
	}
	revision, err := strconv.ParseUint(settings["client_protocol_version"], 10, 64)
	if err != nil {
		return err
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, revision); err != nil {
		return err
	}
	out := buf.Buf
	if settings["compress"] == "1" {
		lz4 := compress.NewWriter(compress.LevelZero, compress.LZ4)
		if err := lz4.Compress(out); err != nil {
			return err
		}
		out = lz4.Data
	}
	_, err = w.Write(out)
	return err
}
