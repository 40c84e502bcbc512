package tidy

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// rootEntries is everything a visitor sees at the root. Hidden entries are not
// counted; bin is what the Makefile builds and git ignores.
func rootEntries() []string {
	return []string{
		"schemas", "client", "services", "devstack", "examples", "deploy", "docs",
		"compose.production.yaml", "compose.yaml", "go.work", "go.work.sum", "Makefile", "README.md",
		"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", "bin",
	}
}

// checkRoot keeps the root a table of contents.
func checkRoot(t *tree, rep *report) {
	for _, e := range t.entries {
		if name := e.Name(); name[0] != '.' && !slices.Contains(rootEntries(), name) {
			rep.add(name, 1, "%q has no place at the root; find it a home in one of the folders", name)
		}
	}
}

// modFiles parses every go.mod of the tree; a faulty one is reported.
func modFiles(t *tree, rep *report) []*modfile.File {
	var files []*modfile.File
	for _, text := range t.texts {
		if path.Base(text.path) != "go.mod" {
			continue
		}
		mod, err := modfile.Parse(text.path, []byte(strings.Join(text.lines, "\n")), nil)
		if err != nil {
			rep.add(text.path, 1, "go.mod does not parse: %v", err)
			continue
		}
		files = append(files, mod)
	}
	return files
}

// checkModules keeps one Go version for all modules, the one of go.work, and
// replacements inside the repository.
func checkModules(t *tree, rep *report) {
	version := ""
	for _, text := range t.texts {
		if text.path != "go.work" {
			continue
		}
		work, err := modfile.ParseWork(text.path, []byte(strings.Join(text.lines, "\n")), nil)
		if err != nil || work.Go == nil {
			rep.add(text.path, 1, "go.work must parse and name a Go version")
			return
		}
		version = work.Go.Version
	}
	for _, mod := range modFiles(t, rep) {
		file := mod.Syntax.Name
		if mod.Go == nil || mod.Go.Version != version {
			rep.add(file, 1, "the go line must be %q, as in go.work", version)
		}
		for _, r := range mod.Replace {
			if to := path.Join(path.Dir(file), r.New.Path); r.New.Version != "" || !filepath.IsLocal(to) {
				rep.add(file, r.Syntax.Start.Line, "replaces %s by something outside the repository", r.Old.Path)
			}
		}
	}
}

// bannedNames say nothing about what a package is for.
func bannedNames() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "misc", "shared", "base", "lib"}
}

// checkPackageNames bans names that are drawers, not nouns.
func checkPackageNames(t *tree, rep *report) {
	for _, f := range t.goFiles {
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		if slices.Contains(bannedNames(), name) || strings.HasSuffix(name, "util") || strings.HasSuffix(name, "utils") {
			rep.add(f.path, f.line(f.ast.Name.Pos()), "package %s says nothing about its purpose; name the noun it holds", name)
		}
	}
}
