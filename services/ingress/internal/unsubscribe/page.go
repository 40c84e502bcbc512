package unsubscribe

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"unicode/utf8"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

// pages writes the pages.
type pages struct {
	template *template.Template
	policy   string // Content-Security-Policy: our style and nothing else
}

func newPages() (*pages, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("read page of unsubscribe: %w", err)
	}
	sum := sha256.Sum256([]byte(styleText))
	return &pages{template: t, policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"}, nil
}

// view is what the template sees.
type view struct {
	Page    string
	Style   template.CSS
	Sender  string
	Address string // hidden but for its first letter and domain: links are passed on
	List    string // what the link is about, "" for all mail
	All     bool   // the choice was about all mail
	Undo    choice
}

func (p *pages) write(w http.ResponseWriter, a answer, cfg Config) {
	v := view{
		Page: a.page, Style: template.CSS(styleText), Sender: cfg.Sender, Address: veiled(a.mail.Recipient), //nolint:gosec // it is ours
		All: a.choice.all(), Undo: a.choice.undo(),
	}
	if id := a.mail.List + a.mail.Stream; id != "" {
		if v.List = cfg.Lists[id]; v.List == "" {
			v.List = "this list"
		}
	}
	var page strings.Builder
	if err := p.template.Execute(&page, v); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", p.policy)
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer") // the URL names the person
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(page.String())) // a reader that has gone has made its choice
}

// veiled shows enough of an address for its owner to know it.
func veiled(addr string) string {
	local, domain, ok := strings.Cut(addr, "@")
	first, _ := utf8.DecodeRuneInString(local)
	if !ok || first == utf8.RuneError {
		return ""
	}
	return string(first) + "•••@" + domain
}
