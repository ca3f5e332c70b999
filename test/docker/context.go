package docker

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ignored reports whether .dockerignore's patterns exclude a path, relative and with
// slashes, from the build context. A pattern matches the path or a directory
// above it; `**/` in front stands for any depth. There is no `!`.
func ignored(patterns []string, name string) bool {
	for at := name; at != "."; at = path.Dir(at) {
		if slices.ContainsFunc(patterns, func(pattern string) bool {
			deep, anywhere := strings.CutPrefix(pattern, "**/")
			candidate := at
			if anywhere {
				pattern, candidate = deep, path.Base(at)
			}
			match, _ := path.Match(pattern, candidate)
			return match
		}) {
			return true
		}
	}
	return false
}

// copyContext copies what `COPY . .` would see of the tree at root.
func copyContext(root, to string, patterns []string) error {
	tree := os.DirFS(root)
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		switch {
		case name != "." && ignored(patterns, name) && d.IsDir():
			return fs.SkipDir
		case name != "." && ignored(patterns, name):
			return nil
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
}
