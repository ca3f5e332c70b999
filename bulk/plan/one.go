package plan

// One plans one user object, as Make plans a row of a file, without regard to other users.
// Users need not be set. It is safe for concurrent use.
func (o *Options) One(user []byte) (Row, error) {
	planned, err := o.plan(0, user, nil)
	return planned.Row, err
}
