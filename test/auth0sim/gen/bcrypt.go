package gen

import (
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/blowfish" //nolint:staticcheck // bcrypt is made of it
)

const (
	saltBytes = 16
	sumBytes  = 23 // of the 24, as every bcrypt since the first
	rounds    = 64
	magic     = "OrpheanBeholderScryDoubt"
	alphabet  = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// bcryptHash is bcrypt with a salt of the caller's, which package bcrypt does not offer
// and equal files for equal seeds need. The password has 72 bytes at most.
func bcryptHash(password string, cost int, salt [saltBytes]byte) (string, error) {
	key := append([]byte(password), 0)
	cipher, err := blowfish.NewSaltedCipher(key, salt[:])
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	for range 1 << cost {
		blowfish.ExpandKey(key, cipher)
		blowfish.ExpandKey(salt[:], cipher)
	}
	sum := []byte(magic)
	for at := 0; at < len(sum); at += blowfish.BlockSize {
		for range rounds {
			cipher.Encrypt(sum[at:at+blowfish.BlockSize], sum[at:at+blowfish.BlockSize])
		}
	}
	encoding := base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
	return fmt.Sprintf("$2b$%02d$%s%s", cost, encoding.EncodeToString(salt[:]), encoding.EncodeToString(sum[:sumBytes])), nil
}
