package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// number writes a number with commas between the thousands.
func number(n int) string {
	text, sign := strconv.Itoa(n), ""
	if n < 0 {
		text, sign = text[1:], "-"
	}
	var out strings.Builder
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(c)
	}
	return sign + out.String()
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// rate writes a number per day.
func rate(perDay float64) string {
	if perDay < 10 {
		return strconv.FormatFloat(perDay, 'f', 1, 64)
	}
	return number(int(perDay + 0.5))
}

// percent writes a share. It is 100 % and 0 % only where that is exact.
func percent(part, whole int) string {
	if whole <= 0 {
		return "0 %"
	}
	switch share := 100 * float64(part) / float64(whole); {
	case part == whole, part == 0:
		return strconv.FormatFloat(share, 'f', 0, 64) + " %"
	case share > 99.9:
		return "> 99.9 %"
	case share < 0.1:
		return "< 0.1 %"
	default:
		return strconv.FormatFloat(share, 'f', 1, 64) + " %"
	}
}

// ago writes how long ago a time is.
func ago(at, now time.Time) string {
	d := now.Sub(at)
	switch {
	case at.IsZero():
		return "never"
	case d < time.Minute:
		return "less than a minute ago"
	case d < hour:
		return count(int(d/time.Minute), "minute", "minutes") + " ago"
	case d < 2*day:
		return count(int(d/hour), "hour", "hours") + " ago"
	}
	return count(int(d/day), "day", "days") + " ago"
}

// span writes a duration of whole units.
func span(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return count(int(d/day), "day", "days")
	case d >= hour && d%hour == 0:
		return count(int(d/hour), "hour", "hours")
	}
	return count(int(d/time.Minute), "minute", "minutes")
}

// date and moment write times in UTC.
func date(at time.Time) string   { return at.UTC().Format("2 January 2006") }
func moment(at time.Time) string { return at.UTC().Format("2 Jan 2006 15:04") + " UTC" }

// when is a time for a <time> element.
type when struct {
	ISO, Text, Ago string
}

func timeOf(at, now time.Time) *when {
	if at.IsZero() {
		return nil
	}
	return &when{at.UTC().Format(time.RFC3339), moment(at), ago(at, now)}
}

// commandLine writes a command for a POSIX shell.
func commandLine(arguments []string) string {
	quoted := make([]string, len(arguments))
	for i, one := range arguments {
		if strings.ContainsFunc(one, func(c rune) bool {
			return !strings.ContainsRune("-_./:=,@%+", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
		}) || one == "" {
			one = "'" + strings.ReplaceAll(one, "'", `'\''`) + "'"
		}
		quoted[i] = one
	}
	return strings.Join(quoted, " ")
}

// sentence begins with a capital letter and ends with a full stop, or a question mark.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	text = strings.ToUpper(string(first)) + text[size:]
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// lowered begins a phrase with a small letter, unless its first word is a name.
func lowered(text string) string {
	if strings.HasPrefix(text, "Auth0") {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}

// planSentence is a sentence of the plan, with its counts grouped by thousands.
func planSentence(text string) string {
	words := strings.Fields(sentence(text))
	for i, word := range words {
		digits := strings.TrimRight(word, ".,:;")
		if n, err := strconv.Atoi(digits); err == nil && n >= 0 {
			words[i] = number(n) + word[len(digits):]
		}
	}
	return strings.Join(words, " ")
}

// short cuts a text.
func short(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

func axisNumber(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " M"
	case n >= 10_000 && n%1000 == 0:
		return number(n/1000) + " k"
	}
	return number(n)
}
