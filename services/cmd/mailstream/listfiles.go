package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/listfile"
)

const (
	// importPart is how many lines one call takes: it ends within seconds.
	importPart = 10_000
	// progressSuffix names the file beside a file that is being imported: the line to go
	// on from.
	progressSuffix = ".mailstream-import"
)

// errorsShown bounds the refused lines that are printed; --errors has all of them.
const errorsShown = 20

// importCommand is what `suppressions import` was asked for.
type importCommand struct {
	listCall
	reason, note     string
	dryRun           bool
	file, errorsFile string
	progress         io.Writer
	errors           *os.File

	partLines  int    // how many lines one call takes
	from       int    // the line to go on from
	errorBytes *int64 // of --errors that the runs before have written
	state      string // of the file: one that has changed cannot be gone on with
	numbers    []int
	part       bytes.Buffer
	sum        importSum
}

// importSum is what became of the lines.
type importSum struct {
	Lines    int           `json:"lines"`
	Accepted int           `json:"accepted"`
	Changed  int           `json:"changed"`
	Refused  int           `json:"refused"`
	DryRun   bool          `json:"dry_run"`
	First    []refusedLine `json:"first_refused,omitempty"` // errorsShown of them
}

// refusedLine is a line that was not taken.
type refusedLine struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

func (c *command) importFile() *cobra.Command {
	i := &importCommand{partLines: importPart}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the addresses of a file: CSV, JSON Lines, or a provider's export as it comes",
		Long: `Import adds every line of a file to the list; "-" is standard input. A line that is
refused is said with its number and reason and keeps no other from being added.

CSV has a line of names: address, and any of reason, scope, stream, list, expires,
note. Exports of SendGrid, Mailgun, Mailjet, Postmark, SES, SparkPost, Brevo and
Mailchimp are known by their columns; --reason is for lines that name none.

It goes in parts of 10,000 lines. Stopped, it goes on where it was when it is started
once more: how far it was is kept beside the file, in FILE` + progressSuffix + `, and a
file that was changed since is refused. What it says in the end is of the whole file, and
so are --errors. A line that is added twice is on the list once.

It exits with 1 when a line was refused.`,
		Example: `  mailstream suppressions import bounces.csv --reason hard_bounce --note "from the old system" --dry-run
  mailstream suppressions import bounces.csv --errors refused.ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i.file, i.progress = args[0], c.stderr
			if err := i.run(cmd.Context()); err != nil {
				return err
			}
			return i.end(c.stdout)
		},
	}
	i.bind(cmd, c)
	f := cmd.Flags()
	f.StringVar(&i.reason, "reason", "", "`reason` of lines that name none (default manual)")
	f.StringVar(&i.note, "note", "", "`note` of lines that have none")
	f.BoolVar(&i.dryRun, "dry-run", false, "check every line and count, and change nothing")
	f.StringVar(&i.errorsFile, "errors", "", "write every refused line to a new `file`, one JSON object a line")
	return cmd
}

// run opens the files and goes through the lines.
func (i *importCommand) run(ctx context.Context) (err error) {
	i.sum.DryRun = i.dryRun
	in := io.Reader(os.Stdin)
	if i.file != "-" {
		f, err := os.Open(i.file)
		if err != nil {
			return usagef("%w", err)
		}
		defer func() { _ = f.Close() }() // it was read
		in = f
		if err := i.goOn(f); err != nil {
			return err
		}
	}
	if i.errorsFile != "" {
		if err := i.openErrors(); err != nil {
			return fmt.Errorf("--errors: %w", err)
		}
		defer func() { err = errors.Join(err, i.errors.Close()) }()
	}
	if err := listfile.Read(in, "", func(row listfile.Row) error { return i.take(ctx, row) }); err != nil {
		return fmt.Errorf("import %s: %w", i.file, err)
	}
	if err := i.send(ctx, 0); err != nil {
		return fmt.Errorf("import %s: %w", i.file, err)
	}
	return nil
}

// take puts one row into the part.
func (i *importCommand) take(ctx context.Context, row listfile.Row) error {
	if row.Line < i.from {
		return nil
	}
	if len(i.numbers) == i.partLines {
		if err := i.send(ctx, row.Line); err != nil {
			return err
		}
	}
	i.sum.Lines++
	if row.Fault != "" {
		return i.refuse(refusedLine{row.Line, row.Fault})
	}
	text, err := json.Marshal(row)
	if err != nil {
		return err
	}
	i.numbers = append(i.numbers, row.Line)
	i.part.Write(text)
	return i.part.WriteByte('\n')
}

func (i *importCommand) refuse(r refusedLine) error {
	i.sum.Refused++
	if len(i.sum.First) < errorsShown {
		i.sum.First = append(i.sum.First, r)
	}
	if i.errors == nil {
		return nil
	}
	return json.NewEncoder(i.errors).Encode(r)
}

// importAnswer is what became of the lines of one call.
type importAnswer struct {
	Accepted, Changed int
	Refused           []refusedLine
	RefusedTotal      int `json:"refused_total"`
}

// importLines adds lines of JSON.
func (s *listCall) importLines(ctx context.Context, query url.Values, lines []byte) (answer importAnswer, err error) {
	body := payload{media: "application/x-ndjson", text: lines}
	err = s.exchange(ctx, http.MethodPost, "/v1/suppressions/import?"+query.Encode(), &body, func(text []byte) error { return json.Unmarshal(text, &answer) })
	return answer, err
}

// send imports the part, and notes that next is the line to go on from; 0 at the end.
func (i *importCommand) send(ctx context.Context, next int) error {
	if len(i.numbers) == 0 {
		return nil
	}
	query := url.Values{}
	for name, value := range map[string]string{"reason": i.reason, "note": i.note} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if i.dryRun {
		query.Set("dry_run", "true")
	}
	answer, err := i.importLines(ctx, query, i.part.Bytes())
	if err != nil {
		return asUsage(err)
	}
	for _, r := range answer.Refused {
		if r.Line < 1 || r.Line > len(i.numbers) {
			return fmt.Errorf("the service names line %d of %d", r.Line, len(i.numbers))
		}
		if err := i.refuse(refusedLine{i.numbers[r.Line-1], r.Error}); err != nil {
			return err
		}
	}
	i.sum.Refused += answer.RefusedTotal - len(answer.Refused)
	i.sum.Accepted += answer.Accepted
	i.sum.Changed += answer.Changed
	i.numbers = i.numbers[:0]
	i.part.Reset()
	fmt.Fprintf(i.progress, "mailstream: %s read, %d accepted, %d refused\n", several(i.sum.Lines, "line"), i.sum.Accepted, i.sum.Refused)
	if next == 0 || i.file == "-" || i.dryRun {
		return nil
	}
	return i.keep(next)
}

// end says what became of the file. How far the import was is forgotten after that: killed
// before, the next run says it.
func (i *importCommand) end(w io.Writer) error {
	if err := i.print(w); err != nil {
		return err
	}
	if i.file != "-" && !i.dryRun {
		if err := os.Remove(i.file + progressSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if i.sum.Refused > 0 {
		return fmt.Errorf("%d of %s refused", i.sum.Refused, several(i.sum.Lines, "line was", "lines were"))
	}
	return nil
}

func (i *importCommand) print(w io.Writer) error {
	if i.asJSON {
		return json.NewEncoder(w).Encode(i.sum)
	}
	var text bytes.Buffer
	for _, r := range i.sum.First {
		fmt.Fprintf(&text, "line %d: %s\n", r.Line, r.Error)
	}
	if more := i.sum.Refused - len(i.sum.First); more > 0 {
		fmt.Fprintf(&text, "and %d more: --errors writes all of them\n", more)
	}
	would := ""
	if i.dryRun {
		would = " would be"
	}
	fmt.Fprintf(&text, "%s: %d%s accepted, %d of them new, %d refused\n", several(i.sum.Lines, "line"), i.sum.Accepted, would, i.sum.Changed, i.sum.Refused)
	_, err := text.WriteTo(w)
	return err
}

func (c *command) exportFile() *cobra.Command {
	var s listCall
	query := url.Values{}
	var flags struct {
		format, reason, scope, domain, source, since string
		from, to                                     moment
	}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the active entries of the list as CSV or JSON Lines",
		Long: `Export prints what forbids mail now, as the list is at the start. What it prints can
be imported. It fails when it was cut off before the end.

At the end it says a token on standard error. With --since-token TOKEN, the next export
has a line of JSON for each address that has changed since, with all that holds of it now.`,
		Example: "  mailstream suppressions export > list.csv\n  mailstream suppressions export --since-token 'ec7c4af6:0@17' > changes.ndjson\n  mailstream suppressions export --reason complaint --domain example.com --format ndjson",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, value := range map[string]string{
				"format": flags.format, "reason": flags.reason, "scope": flags.scope, "domain": flags.domain, "source": flags.source,
				"added_from": flags.from.String(), "added_to": flags.to.String(), "since_token": flags.since,
			} {
				if cmd.Flags().Changed(strings.ReplaceAll(strings.TrimPrefix(name, "added_"), "_", "-")) {
					query.Set(name, value)
				}
			}
			if s.asJSON {
				query.Set("format", "ndjson")
			}
			token, err := s.copy(cmd.Context(), "/v1/suppressions/export?"+query.Encode(), c.stdout)
			if err == nil && token != "" {
				fmt.Fprintf(c.stderr, "mailstream: what changes from here on: --since-token %q\n", token)
			}
			return asUsage(err)
		},
	}
	s.bind(cmd, c)
	f := cmd.Flags()
	f.Lookup("json").Usage = "the same as --format ndjson"
	f.StringVar(&flags.format, "format", "csv", "csv or ndjson")
	f.StringVar(&flags.reason, "reason", "", "only entries of this `reason`")
	f.StringVar(&flags.scope, "scope", "", "only entries of this `scope`, such as list:17")
	f.StringVar(&flags.domain, "domain", "", "only addresses of this `domain`")
	f.StringVar(&flags.source, "source", "", "only what events of this `source` added")
	f.Var(&flags.from, "from", "only what was added at or after this `time`, RFC 3339 or a date in UTC")
	f.Var(&flags.to, "to", "only what was added before this `time`, RFC 3339 or a date in UTC")
	f.StringVar(&flags.since, "since-token", "", "only addresses that have changed since the export that said this `token`")
	return cmd
}

// asUsage makes what the service refuses as wrong in a request wrong on the command line.
func asUsage(err error) error {
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.status == http.StatusBadRequest {
		return usagef("%s", refused.detail)
	}
	return err
}

// copy writes the answer to out as it comes, and wants its trailer. It returns the token
// for the changes after it.
func (s service) copy(ctx context.Context, path string, out io.Writer) (token string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.url, "/")+path, nil)
	if err != nil {
		return "", err
	}
	audit.SayFor(req, who(), audit.RoleCommand)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", withoutQuery(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
		return "", errors.Join(s.refusalOf(resp.StatusCode, text), err)
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return "", fmt.Errorf("the export was cut off: %w", err)
	}
	if resp.Trailer.Get("Mailstream-Entries") == "" {
		return "", errors.New("the export was cut off: its end is missing")
	}
	return resp.Header.Get("Mailstream-Token"), nil
}
