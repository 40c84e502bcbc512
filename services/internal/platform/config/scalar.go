package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// isScalar says whether a value of type t is read from one text.
func isScalar(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Secret](), reflect.TypeFor[ByteSize]():
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Func, reflect.Interface:
		return false
	}
	return true
}

// setText reads text into v, whose type isScalar. Text is taken unchanged, in
// quotes or not: the type of the field decides what it means.
func setText(v reflect.Value, text string) error {
	switch target := v.Addr().Interface().(type) {
	case *Secret:
		*target = Secret{ref: text}
		return nil
	case *ByteSize:
		size, err := ParseByteSize(text)
		*target = size
		return err
	case *time.Duration:
		d, err := ParseDuration(text)
		*target = d
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Float64:
		f, err := parseFloat(text)
		v.SetFloat(f)
		return err
	default:
		return setInt(v, text)
	}
}

func setBool(v reflect.Value, text string) error {
	switch text {
	case "true", "True", "TRUE":
		v.SetBool(true)
	case "false", "False", "FALSE":
		v.SetBool(false)
	default:
		return fmt.Errorf("%s is not true or false", quote(text))
	}
	return nil
}

// integer is a whole number, digits in threes where a person likes that, or one
// of the octal and hexadecimal forms of YAML 1.2 (10.3.2).
var integer = regexp.MustCompile(`^(?:[+-]?(?:[0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)|0o[0-7]+|0x[0-9a-fA-F]+)$`)

func setInt(v reflect.Value, text string) error {
	if !integer.MatchString(text) {
		return fmt.Errorf("%s is not a whole number", quote(text))
	}
	digits := strings.ReplaceAll(text, "_", "")
	if bare := strings.TrimLeft(digits, "+-"); len(bare) > 1 && bare[0] == '0' && bare[1] != 'o' && bare[1] != 'x' {
		return fmt.Errorf("%s may be decimal or octal: write it without the zero in front", quote(text))
	}
	n, err := strconv.ParseInt(digits, 0, 64)
	if err != nil || v.OverflowInt(n) {
		return fmt.Errorf("%s is too large a number", quote(text))
	}
	v.SetInt(n)
	return nil
}

// number is a number with a point or an exponent where it needs one.
var number = regexp.MustCompile(`^[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

func parseFloat(text string) (float64, error) {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		if percent, err := parseFloat(strings.TrimSpace(share)); err == nil {
			return 0, fmt.Errorf("%s is not a number: write %v", quote(text), percent/100)
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if !number.MatchString(text) || err != nil || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%s is not a number", quote(text))
	}
	return f, nil
}

// quotedBytesMax bounds how much of a wrong value a message shows.
const quotedBytesMax = 40

func quote(text string) string {
	if len(text) > quotedBytesMax {
		return strconv.Quote(text[:quotedBytesMax]) + "..."
	}
	return strconv.Quote(text)
}
