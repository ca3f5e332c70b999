package program

import "slices"

// Kratos is Ory Kratos.
func Kratos() Program {
	return Program{
		Name: "kratos", Version: "v1.3.1", Package: "github.com/ory/kratos",
		VersionVariable: "github.com/ory/kratos/driver/config.Version",
		BinaryVariable:  "KRATOS_BIN",
	}
}

// Hydra is Ory Hydra. Its module has the version of SQLite that Kratos' has, and is built with
// the same tags, so that the second of the two finds SQLite in the build cache.
func Hydra() Program {
	return Program{
		Name: "hydra", Version: "v2.3.0", Package: "github.com/ory/hydra/v2",
		VersionVariable: "github.com/ory/hydra/v2/driver/config.Version",
		BinaryVariable:  "HYDRA_BIN",
	}
}

// Find returns the program with that name.
func Find(name string) (p Program, ok bool) {
	all := []Program{Kratos(), Hydra()}
	i := slices.IndexFunc(all, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return Program{}, false
	}
	return all[i], true
}
