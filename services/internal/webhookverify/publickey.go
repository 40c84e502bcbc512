package webhookverify

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
)

// RSABitsMin is the least that crypto/rsa verifies with: a shorter key would
// refuse everything.
const RSABitsMin = 1024

// PublicKey reads a SubjectPublicKeyInfo in base64 or PEM. The error holds
// nothing of text.
func PublicKey(text string) (any, error) {
	der, err := derOf(text)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("parse public key: not SubjectPublicKeyInfo")
	}
	return key, nil
}

func derOf(text string) ([]byte, error) {
	if strings.Contains(text, "-----BEGIN") {
		if block, _ := pem.Decode([]byte(text)); block != nil {
			return block.Bytes, nil
		}
		return nil, errors.New("decode key: not PEM")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("decode key: not base64")
	}
	return der, nil
}

// AnyRSA tries public keys: which one was right is not a secret.
func AnyRSA(keys []*rsa.PublicKey, algorithm crypto.Hash, digest, given []byte) bool {
	for _, key := range keys {
		if rsa.VerifyPKCS1v15(key, algorithm, digest, given) == nil {
			return true
		}
	}
	return false
}
