package mapping

import (
	"encoding/json"
	"errors"

	"github.com/google/go-jsonnet/ast"
)

// nodeOf is a JSON value as a Jsonnet program that evaluates to it: what the parser
// would make of the value's text, without writing and parsing that text for every
// person.
func nodeOf(v any) (ast.Node, error) {
	switch v := v.(type) {
	case nil:
		return &ast.LiteralNull{}, nil
	case bool:
		return &ast.LiteralBoolean{Value: v}, nil
	case string:
		return &ast.LiteralString{Value: v, Kind: ast.StringDouble}, nil
	case json.Number:
		return &ast.LiteralNumber{OriginalString: v.String()}, nil
	case []any:
		return listNode(v)
	case map[string]any:
		return objectNode(v)
	default:
		return otherNode(v)
	}
}

func listNode(list []any) (ast.Node, error) {
	out := &ast.Array{Elements: make([]ast.CommaSeparatedExpr, len(list))}
	for i, element := range list {
		node, err := nodeOf(element)
		if err != nil {
			return nil, err
		}
		out.Elements[i].Expr = node
	}
	return out, nil
}

func objectNode(object map[string]any) (ast.Node, error) {
	out := &ast.DesugaredObject{Fields: make(ast.DesugaredObjectFields, 0, len(object))}
	for name, value := range object {
		node, err := nodeOf(value)
		if err != nil {
			return nil, err
		}
		out.Fields = append(out.Fields, ast.DesugaredObjectField{
			Name: &ast.LiteralString{Value: name, Kind: ast.StringDouble}, Body: node, Hide: ast.ObjectFieldInherit,
		})
	}
	return out, nil
}

// otherNode takes numbers, and what a caller put among the claims that no decoder
// makes, such as []string, by its JSON.
func otherNode(v any) (ast.Node, error) {
	plain, err := plainJSON(v)
	if err != nil {
		return nil, errors.New("the claims are no JSON")
	}
	return nodeOf(plain)
}
