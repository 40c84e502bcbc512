package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/providerapi"
	"github.com/mailstream/mailstream/services/pipeline"
)

// liftedThere is one entry on a provider's list, and what became of it.
type liftedThere struct {
	Source  string           `json:"source"`
	Address string           `json:"address"`
	Kind    providerapi.Kind `json:"kind"`
	Stream  string           `json:"stream,omitempty"`
	List    string           `json:"list,omitempty"`
	Domain  string           `json:"domain,omitempty"`
	Lifted  bool             `json:"lifted"`
	Why     string           `json:"why,omitempty"` // it was not lifted

	account providerapi.Account
	entry   providerapi.Listed
}

// liftedSum is what was lifted, here and there.
type liftedSum struct {
	liftedHere
	DryRun bool           `json:"dry_run"`
	There  []*liftedThere `json:"at_provider"`
}

// everywhere lifts addresses here and at the providers of the sources. Nothing changes
// before all was looked up; here comes first, so that what is refused here stays there.
func (l *liftCommand) everywhere(cmd *cobra.Command, c *command, addresses []string) error {
	for _, name := range []string{"from", "to", "source", "mailbox-provider", "reason", "scope"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s does not go with --at-provider, which lifts all entries of the addresses", name)
		}
	}
	people := make([]string, len(addresses))
	for i, text := range addresses {
		canonical, err := address.One(text)
		if err != nil {
			return usagef("%q is %w: --at-provider takes addresses alone", text, err)
		}
		people[i] = canonical
	}
	accounts, err := c.accounts(l.sources)
	if err != nil {
		return err
	}
	sum := liftedSum{DryRun: l.dryRun}
	if sum.There, err = l.lookUp(cmd.Context(), accounts, people); err != nil {
		return err
	}
	if !l.dryRun {
		if sum.liftedHere, err = l.here(cmd.Context(), addresses, map[string]any{}); err != nil {
			return fmt.Errorf("%w; nothing was changed at a provider", err)
		}
		err = liftThere(cmd.Context(), sum.There)
	}
	return errors.Join(sum.print(c.stdout, l.asJSON), err)
}

// accounts finds the accounts of sources in the section providers.
func (c *command) accounts(sources []string) (found []providerapi.Account, err error) {
	cfg, _, err := c.load(pipeline.Sync)
	if err != nil {
		return nil, err
	}
	if len(cfg.Providers) == 0 {
		return nil, usagef("the configuration has no section providers: name its file with --config")
	}
	for _, source := range sources {
		account, known := cfg.Providers.Find(source)
		if !known {
			return nil, usagef("%q is not one of the section providers: %s", source, strings.Join(cfg.Providers.Sources(), ", "))
		}
		found = append(found, account)
	}
	return found, nil
}

// lookUp asks every account for every address.
func (l *liftCommand) lookUp(ctx context.Context, accounts []providerapi.Account, people []string) (there []*liftedThere, err error) {
	for _, account := range accounts {
		if !account.Writable && !l.dryRun {
			return nil, fmt.Errorf("%s: %w", account.Source, providerapi.ErrReadOnly)
		}
		for _, person := range people {
			found, err := providerapi.Find(ctx, account, providerapi.Options{}, person)
			if err != nil {
				return nil, fmt.Errorf("%s: %w; nothing was changed", account.Source, err)
			}
			for _, e := range found {
				if e.Kind == providerapi.Complaint && !l.consent && !l.dryRun {
					return nil, usagef("%s has %s for a complaint; --consent says that the person has asked for mail again; nothing was changed", account.Source, person)
				}
				there = append(there, &liftedThere{
					Source: account.Source, Address: e.Address, Kind: e.Kind, Stream: e.Stream, List: e.List, Domain: e.Domain, account: account, entry: e,
				})
			}
		}
	}
	return there, nil
}

// liftThere lifts all that can be, and returns an error where one could not.
func liftThere(ctx context.Context, there []*liftedThere) (err error) {
	for _, one := range there {
		fault := providerapi.Lift(ctx, one.account, providerapi.Options{}, one.entry)
		if one.Lifted = fault == nil; fault != nil {
			one.Why = fault.Error()
			err = errors.New("lifted here, and not everywhere at the providers: mail is dropped there, and the entry comes back here; run it once more, or ask their support")
		}
	}
	return err
}

func (s liftedSum) print(out io.Writer, asJSON bool) error {
	if asJSON {
		if s.There == nil {
			s.There = []*liftedThere{}
		}
		return json.NewEncoder(out).Encode(s)
	}
	for _, one := range s.There {
		did := "lifted"
		switch {
		case s.DryRun:
			did = "would be lifted"
		case !one.Lifted:
			did = "not lifted: " + one.Why
		}
		where := strings.Join(strings.Fields(one.Stream+" "+one.List+" "+one.Domain), " ")
		if where != "" {
			where = " (" + where + ")"
		}
		fmt.Fprintf(out, "%s: %s: %s%s: %s\n", one.Source, one.Address, one.Kind, where, did)
	}
	if s.DryRun {
		_, err := fmt.Fprintf(out, "%s at the providers; nothing was changed\n", several(len(s.There), "entry", "entries"))
		return err
	}
	_, err := fmt.Fprintf(out, "lifted %s here, %s at the providers\n", several(s.Changed, "entry", "entries"), several(len(s.There), "was", "were"))
	return err
}
