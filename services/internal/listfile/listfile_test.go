package listfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/listfile"
)

func read(t *testing.T, media, text string) []listfile.Row {
	t.Helper()
	var rows []listfile.Row
	if err := listfile.Read(strings.NewReader(text), media, func(r listfile.Row) error {
		rows = append(rows, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// The forms of providers are from their documents and guides.
func TestRead_TakesFilesAsTheyCome(t *testing.T) {
	t.Parallel()
	row := func(line int, reason, note string) listfile.Row {
		return listfile.Row{Line: line, Address: "ana@example.com", Reason: reason, Note: note}
	}
	for name, c := range map[string]struct {
		text string
		want []listfile.Row
	}{
		"ours": {"address,reason,scope,expires,note\nana@example.com,manual,list:17,9999-12-31,\"asked, by phone\"\n", []listfile.Row{
			{Line: 2, Address: "ana@example.com", Reason: "manual", Scope: "list:17", Expires: "9999-12-31", Note: "asked, by phone"},
		}},
		"a byte order mark and semicolons": {"\xef\xbb\xbfEmail;Note\r\nana@example.com;a\r\n", []listfile.Row{row(2, "", "a")}},
		"addresses alone":                  {"ana@example.com\nana@example.com\n", []listfile.Row{row(1, "", ""), row(2, "", "")}},
		"sendgrid bounces":                 {"status,reason,email,created\n5.1.1,550 no such user,ana@example.com,1772615730\n", []listfile.Row{row(2, "hard_bounce", "550 no such user")}},
		"mailgun bounces":                  {"address,code,error,created_at\nana@example.com,550,no such user,\"Wed, 04 Mar 2026 09:15:30 UTC\"\n", []listfile.Row{row(2, "hard_bounce", "no such user")}},
		"mailgun unsubscribes":             {"address,tags,created_at\nana@example.com,*,x\n", []listfile.Row{row(2, "unsubscribe", "")}},
		"postmark": {"EmailAddress,SuppressionReason,Origin,CreatedAt\nana@example.com,HardBounce,Recipient,x\nana@example.com,SpamComplaint,Recipient,x\nana@example.com,ManualSuppression,Recipient,x\nana@example.com,ManualSuppression,Customer,x\n", []listfile.Row{
			row(2, "hard_bounce", ""), row(3, "complaint", ""), row(4, "unsubscribe", ""), row(5, "manual", ""),
		}},
		"ses":                    {"ana@example.com,BOUNCE\nana@example.com,COMPLAINT\n", []listfile.Row{row(1, "hard_bounce", ""), row(2, "complaint", "")}},
		"mailchimp unsubscribed": {"Email Address,First Name,UNSUB_TIME,UNSUB_REASON\nana@example.com,Ana,x,NORMAL\n", []listfile.Row{row(2, "unsubscribe", "NORMAL")}},
		"mailchimp cleaned":      {"Email Address,First Name,CLEAN_TIME\nana@example.com,Ana,x\n", []listfile.Row{row(2, "hard_bounce", "")}},
		"sparkpost":              {"recipient,type,source,description\nana@example.com,non_transactional,Spam Complaint,x\n", []listfile.Row{row(2, "complaint", "x")}},
		"json lines": {"{\"address\":\"ana@example.com\",\"reason\":\"manual\"}\n\n{\"address\":\"ana@example.com\",\"stream\":\"marketing\"}", []listfile.Row{
			row(1, "manual", ""), {Line: 3, Address: "ana@example.com", Stream: "marketing"},
		}},
		"nothing": {"", nil},
	} {
		if diff := cmp.Diff(c.want, read(t, "", c.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRead_NamesEveryBadLineAndGoesOn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40<<10)
	for name, text := range map[string]string{
		"csv":  "address,note\nana@example.com,a\n\"broken\"x,b\n,no address\nana@example.com," + long + "\nana@example.com,\xff\nbo@example.com,c\n",
		"json": "{\"address\":\"ana@example.com\"}\nnonsense\n{\"adress\":\"x\"}\n{\"address\":\"" + long + "\"}\n{\"address\":\"a\"} {}\n{\"address\":\"bo@example.com\"}\n",
	} {
		rows := read(t, "", text)
		if len(rows) != 6 {
			t.Fatalf("%s: %d rows: %+v", name, len(rows), rows)
		}
		for i, r := range rows {
			if whole := i == 0 || i == 5; (r.Fault == "") != whole || r.Line == 0 {
				t.Errorf("%s: row %d: line %d %q", name, i, r.Line, r.Fault)
			}
		}
		if rows[5].Address != "bo@example.com" {
			t.Errorf("%s: the last is %+v", name, rows[5])
		}
	}
}

func TestRead_RefusesAFileOfNoAddresses(t *testing.T) {
	t.Parallel()
	err := listfile.Read(strings.NewReader("name,age\nAna,7\n"), "text/csv", func(listfile.Row) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "names no column of addresses") {
		t.Errorf("error %v", err)
	}
	full := errors.New("full")
	for _, text := range []string{"ana@example.com\n", `{"address":"a"}`} {
		if err := listfile.Read(strings.NewReader(text), "", func(listfile.Row) error { return full }); !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("", "address,reason\na@b.c,manual\n")
	f.Add("application/x-ndjson", "{\"address\":\"a\"}\n")
	f.Add("text/csv", "\"\n;\n")
	f.Fuzz(func(t *testing.T, media, text string) {
		line := 0
		_ = listfile.Read(strings.NewReader(text), media, func(r listfile.Row) error { // it may refuse; it must end
			if r.Line < line || r.Line < 1 || r.Line > strings.Count(text, "\n")+1 {
				t.Errorf("line %d after %d", r.Line, line)
			}
			line = r.Line
			return nil
		})
	})
}
