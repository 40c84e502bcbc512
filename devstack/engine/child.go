package engine

import "slices"

// IsChild reports whether args, which are os.Args, ask this process to be the
// child of an engine. Then main must do nothing but exit with ChildMain.
func IsChild(args []string) bool {
	return len(args) == 2 && slices.Equal(args[1:], []string{childArgument})
}
