package listfile_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

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

// utf16le is text as a spreadsheet saves it.
func utf16le(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

// swapped has the bytes of each unit the other way round.
func swapped(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); i += 2 {
		out[i], out[i+1] = out[i+1], out[i]
	}
	return string(out)
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
		"sendgrid spam reports":            {"email,ip,created\nana@example.com,192.0.2.7,1772615730\n", []listfile.Row{row(2, "complaint", "")}},
		"sendgrid global unsubscribes":     {"email,created\nana@example.com,1772615730\n", []listfile.Row{row(2, "unsubscribe", "")}},
		"mailgun complaints":               {"address,created_at\nana@example.com,x\n", []listfile.Row{row(2, "complaint", "")}},
		"mailgun unsubscribes":             {"address,tags,created_at\nana@example.com,*,x\n", []listfile.Row{row(2, "unsubscribe", "")}},
		"postmark": {"EmailAddress,SuppressionReason,Origin,CreatedAt\nana@example.com,HardBounce,Recipient,x\nana@example.com,SpamComplaint,Recipient,x\nana@example.com,ManualSuppression,Recipient,x\nana@example.com,ManualSuppression,Customer,x\n", []listfile.Row{
			row(2, "hard_bounce", ""), row(3, "complaint", ""), row(4, "unsubscribe", ""), row(5, "manual", ""),
		}},
		"ses":                    {"ana@example.com,BOUNCE\nana@example.com,COMPLAINT\n", []listfile.Row{row(1, "hard_bounce", ""), row(2, "complaint", "")}},
		"mailchimp unsubscribed": {"Email Address,First Name,UNSUB_TIME,UNSUB_REASON\nana@example.com,Ana,x,NORMAL\n", []listfile.Row{row(2, "unsubscribe", "NORMAL")}},
		"mailchimp cleaned":      {"Email Address,First Name,CLEAN_TIME\nana@example.com,Ana,x\n", []listfile.Row{row(2, "hard_bounce", "")}},
		"mailjet contacts": {"Email;IsExcludedFromCampaigns;IsUnsubscribed\nana@example.com;true;false\nana@example.com;true;true\nana@example.com;0;1\n", []listfile.Row{
			row(2, "manual", ""), row(3, "unsubscribe", ""), row(4, "unsubscribe", ""),
		}},
		"brevo": {"EMAIL;REASON\r\nana@example.com;hardBounce\r\nana@example.com;contactFlaggedAsSpam\r\nana@example.com;unsubscribedViaMA\r\n", []listfile.Row{
			row(2, "hard_bounce", ""), row(3, "complaint", ""), row(4, "unsubscribe", ""),
		}},
		"a line feed in quotes":      {"address,note\r\nana@example.com,\"said\r\n\"\"no\"\"\"\r\n\r\nana@example.com,x\r\n", []listfile.Row{row(2, "", "said\n\"no\""), row(5, "", "x")}},
		"carriage returns":           {"\xef\xbb\xbfemail;note\rana@example.com;\"a\rb\"\r\rana@example.com;x, y", []listfile.Row{row(2, "", "a\nb"), row(5, "", "x, y")}},
		"utf-16 of a spreadsheet":    {utf16le("email\tnote\r\nana@example.com\tJürgen\r\n"), []listfile.Row{row(2, "", "Jürgen")}},
		"utf-16 the other way round": {swapped(utf16le("{\"address\":\"ana@example.com\"}\n")), []listfile.Row{row(1, "", "")}},
		"sparkpost":                  {"recipient,type,source,description\nana@example.com,non_transactional,Spam Complaint,x\n", []listfile.Row{row(2, "complaint", "x")}},
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

// A quote that is never closed must not take the addresses behind it along.
func TestRead_AnOpenQuoteCostsOneLine(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]int{"to the end": 3, "beyond the limit": 10_000} {
		text := "address,note\n\"open@example.com,a\n" + strings.Repeat("ana@example.com,b\n", behind)
		rows := read(t, "", text)
		if len(rows) != behind+1 || rows[0].Line != 2 || !strings.Contains(rows[0].Fault, "quote") {
			t.Fatalf("%s: %d rows, the first %+v", name, len(rows), rows[0])
		}
		for i, r := range rows[1:] {
			if r.Fault != "" || r.Line != i+3 || r.Note != "b" {
				t.Fatalf("%s: row %d: %+v", name, i, r)
			}
		}
	}
}

func TestRead_RefusesWhoMayBeMailed(t *testing.T) {
	t.Parallel()
	rows := read(t, "", "Email,IsUnsubscribed\nana@example.com,false\nbo@example.com,perhaps\n")
	if len(rows) != 2 || !strings.Contains(rows[0].Fault, "may be mailed") || !strings.Contains(rows[1].Fault, "want true or false") {
		t.Errorf("%+v", rows)
	}
	for want, text := range map[string]string{
		"may be mailed": "Email Address,First Name,OPTIN_TIME,CONFIRM_TIME\nana@example.com,Ana,x,y\n",
		"zero bytes":    utf16le("email\nana@example.com\n")[2:],
		"first line":    "\"email\nana@example.com\n",
		"is longer":     strings.Repeat("ana@example.com,", 10_000),
	} {
		err := listfile.Read(strings.NewReader(text), "", func(listfile.Row) error { return errors.New("a row") })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
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
	f.Add("text/csv", "address\n\"a\n\"\"\"b\nc\n")
	f.Add("", utf16le("email\na@b.c\n"))
	f.Add("text/csv", "email;note\ra@b.c;x, y\r\"a\r")
	f.Fuzz(func(t *testing.T, media, text string) {
		line := 0
		_ = listfile.Read(strings.NewReader(text), media, func(r listfile.Row) error { // it may refuse; it must end
			if r.Line < line || r.Line < 1 || r.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Errorf("line %d after %d", r.Line, line)
			}
			line = r.Line
			return nil
		})
	})
}
