package passwordhash

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// Auth0's names of the encodings.
const (
	encodingBase64 = "base64"
	encodingHex    = "hex"
	encodingUTF8   = "utf8"
)

var (
	errEncoding = errors.New("an encoding is missing, or is not one that Auth0 accepts there")
	errDecode   = errors.New("the hash, the salt or the key is not in the encoding that is given")
)

// decode decodes a value. Texts are allowed if the encoding may be utf8.
func decode(value, encoding string, texts bool) ([]byte, error) {
	switch {
	case encoding == encodingHex:
		decoded, err := hex.DecodeString(value)
		if err != nil {
			return nil, errDecode
		}
		return decoded, nil
	case encoding == encodingBase64:
		return decodeBase64(value)
	case encoding == encodingUTF8 && texts:
		return []byte(value), nil
	default:
		return nil, errEncoding
	}
}

// decodeText decodes a salt or a key, which is in utf8 by default.
func decodeText(value, encoding string) ([]byte, error) {
	if encoding == "" {
		encoding = encodingUTF8
	}
	return decode(value, encoding, true)
}

// decodeBase64 decodes base64 in its common and its URL alphabet, with and without padding,
// as Auth0 does.
func decodeBase64(value string) ([]byte, error) {
	bare := strings.TrimRight(value, "=")
	if padded := len(bare) < len(value); padded && (len(value)%4 != 0 || len(value)-len(bare) > 2) || strings.ContainsAny(value, "\r\n") {
		return nil, errDecode
	}
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(bare))
	if err != nil {
		return nil, errDecode
	}
	return decoded, nil
}

// encode encodes as base64 with padding.
func encode[T []byte | string](value T) string {
	return base64.StdEncoding.EncodeToString([]byte(value))
}

// encodeBare encodes as base64 without padding, as in the PHC string format.
func encodeBare(value []byte) string { return base64.RawStdEncoding.EncodeToString(value) }
