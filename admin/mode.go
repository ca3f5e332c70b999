package admin

import (
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"ferry/audit"
	"ferry/mode"
	"ferry/secret"
)

// ModePath is where an operator reads and changes the mode.
const ModePath = "/mode"

// modes reads and changes the mode.
type modes interface {
	Status() mode.Status
	Set(change mode.Change) (mode.Status, error)
}

const (
	maxChangeBytes = 16 << 10
	maxWho         = 100
)

// change is the body of a change.
type change struct {
	Mode   string `json:"mode"`
	Cohort string `json:"cohort"`
	// By says who changes it, for the log.
	By string `json:"by"`
}

// modeRoutes adds the routes of the mode, for callers with the key.
func modeRoutes(e *echo.Echo, modes modes, key secret.String, record func(audit.Record)) {
	withKey := func(handle func(echo.Context) error) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
			if !secret.Presented(c.Request(), key) {
				if record != nil {
					record(audit.Refused(ModePath, c.Request().RemoteAddr))
				}
				c.Response().Header().Set(echo.HeaderWWWAuthenticate, secret.Challenge)
				return problem(c, http.StatusUnauthorized, "the key is missing or wrong")
			}
			return handle(c)
		}
	}
	e.GET(ModePath, withKey(func(c echo.Context) error { return c.JSON(http.StatusOK, modes.Status()) }))
	e.PUT(ModePath, withKey(func(c echo.Context) error { return putMode(c, modes) }))
}

// putMode changes the mode.
func putMode(c echo.Context, modes modes) error {
	media, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || media != echo.MIMEApplicationJSON {
		return problem(c, http.StatusUnsupportedMediaType, "the body must be application/json")
	}
	text, err := io.ReadAll(io.LimitReader(c.Request().Body, maxChangeBytes+1))
	var wanted change
	if err != nil || len(text) > maxChangeBytes || json.Unmarshal(text, &wanted, json.RejectUnknownMembers(true)) != nil {
		return problem(c, http.StatusBadRequest, "the body must be one JSON object such as {\"mode\":\"off\",\"by\":\"kim\"}")
	}
	if len(wanted.By) > maxWho || strings.ContainsFunc(wanted.By, unicode.IsControl) {
		return problem(c, http.StatusBadRequest, "by must be a name of at most 100 bytes")
	}
	status, err := modes.Set(mode.Change{Mode: wanted.Mode, Cohort: wanted.Cohort, Who: wanted.By, From: c.Request().RemoteAddr})
	if err != nil {
		return problem(c, http.StatusBadRequest, err.Error())
	}
	return c.JSON(http.StatusOK, status)
}

// problem answers with a problem report (RFC 9457).
func problem(c echo.Context, status int, detail string) error {
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	return c.JSON(status, map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
}
