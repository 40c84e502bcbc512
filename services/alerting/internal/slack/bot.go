package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// BotConfig is a bot of Slack: it changes its message as the incident goes on and
// writes each step into the thread of the message.
type BotConfig struct {
	// Token is a bot token, xoxb-, with the scope chat:write. Required.
	Token config.Secret `yaml:"token"`
	// Channel is the id of the channel, such as C0123456789; the bot must be a member.
	// Required.
	Channel string `yaml:"channel"`
	// APIURL is where the Web API is. Default https://slack.com/api.
	APIURL string `yaml:"api_url"`
}

const (
	apiURL     = "https://slack.com/api"
	channelMax = 80 // bytes; an id has 9 to 11, a name at most 80
)

// WithDefaults returns c with what was left out.
func (c BotConfig) WithDefaults() BotConfig {
	c.APIURL = cmp.Or(c.APIURL, apiURL)
	return c
}

// Validate reports every fault to p.
func (c BotConfig) Validate(p *config.Problems) {
	p.Check(strings.HasPrefix(c.Token.Reveal(), "xoxb-"), "token", "is not a bot token, which begins with xoxb-")
	p.Check(c.Channel != "" && len(c.Channel) <= channelMax && !strings.ContainsAny(c.Channel, " \t\n:"), "channel",
		"%q must be the id of a channel of 1 to %d bytes", c.Channel, channelMax)
	httppost.CheckURL(p, "api_url", c.WithDefaults().APIURL)
}

// Bot posts to one channel.
type Bot struct {
	cfg   BotConfig
	post  *httppost.Client
	links wording.Links
}

// NewBot returns a client for the channel.
func NewBot(cfg BotConfig, links wording.Links, transport http.RoundTripper) *Bot {
	return &Bot{cfg: cfg.WithDefaults(), post: httppost.New("slack", transport), links: links}
}

// Deliver posts or changes the message about the notices.
func (b *Bot) Deliver(ctx context.Context, notices []outbox.Notice) error {
	_, err := b.DeliverRef(ctx, notices)
	return err
}

// DeliverRef posts the message about the notices and returns "channel:ts". When the
// incident has a message, that one is changed, and what is new comes into its thread;
// a message that is gone is posted anew.
func (b *Bot) DeliverRef(ctx context.Context, notices []outbox.Notice) (ref string, err error) {
	m := render(notices, b.links)
	channel, ts, ok := strings.Cut(notices[0].Ref, ":")
	if len(notices) == 1 && ok {
		m.Channel, m.TS = channel, ts
		_, err = b.try(ctx, "chat.update", m)
		switch reason := reasonOf(err); {
		case err == nil:
			return notices[0].Ref, b.step(ctx, m, notices[0].Kind)
		case reason != "message_not_found" && reason != "cant_update_message" && reason != "edit_window_closed":
			return "", err
		}
	}
	m.Channel, m.TS = b.cfg.Channel, ""
	return b.try(ctx, "chat.postMessage", m)
}

// step writes what is new into the thread of a message. That an incident lasts must
// be seen in the channel, too.
func (b *Bot) step(ctx context.Context, m message, kind string) error {
	reply := m.plain()
	reply.TS, reply.ThreadTS, reply.Broadcast = "", m.TS, kind == schemas.NotifyRepeat
	_, err := b.call(ctx, "chat.postMessage", reply)
	return err
}

// try calls a method; a message that Slack finds malformed is tried once more without
// its blocks.
func (b *Bot) try(ctx context.Context, method string, m message) (ref string, err error) {
	ref, err = b.call(ctx, method, m)
	if fate.Of(err) == fate.DeadLetter {
		ref, err = b.call(ctx, method, m.plain())
	}
	return ref, err
}

func (b *Bot) call(ctx context.Context, method string, m message) (ref string, err error) {
	body, err := json.Marshal(m)
	if err != nil {
		return "", fate.Wrap(fate.DeadLetter, fmt.Errorf("encode slack message: %w", err))
	}
	a, err := b.post.Post(ctx, strings.TrimSuffix(b.cfg.APIURL, "/")+"/"+method, body,
		http.Header{"Authorization": {"Bearer " + b.cfg.Token.Reveal()}})
	if err != nil {
		return "", err
	}
	if err := judge(b.post, a); err != nil {
		return "", err
	}
	var said struct {
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	}
	if err := json.Unmarshal(a.Body, &said); err != nil || !nameFormat.MatchString(said.Channel) || !nameFormat.MatchString(said.TS) {
		return "", b.post.Refuse(fate.Halt, notSlack)
	}
	return said.Channel + ":" + said.TS, nil
}

// nameFormat is what Slack calls channels and messages: they are kept in the record of
// the alert, so nothing else may come in by an answer.
var nameFormat = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// reasonOf is the word of a fault, "" for none.
func reasonOf(err error) string {
	if f, ok := errors.AsType[*outbox.Fault](err); ok {
		return f.Reason
	}
	return ""
}
