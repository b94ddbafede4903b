// SPDX-License-Identifier: Apache-2.0

package plivo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Operation names one of the five calls.
type Operation string

// The five calls.
const (
	OperationCreate Operation = "create"
	OperationGet    Operation = "get"
	OperationList   Operation = "list"
	OperationUpdate Operation = "update"
	OperationDelete Operation = "delete"
)

const (
	// MaxPageSize is the largest limit of a list, according to Plivo's documentation.
	MaxPageSize = 20

	// maxBody limits a response in bytes; a page of twenty rows has about 8 KiB.
	maxBody = 1 << 20
)

var (
	mainAuthID       = regexp.MustCompile(`^MA[A-Z0-9]{18}$`)
	subaccountAuthID = regexp.MustCompile(`^SA[A-Z0-9]{18}$`)
)

// Credentials of a main account.
type Credentials struct {
	AuthID string
	Token  Token
}

// The keys of a main account's Secret. The first one has precedence.
var (
	authIDKeys    = []string{"auth_id", "PLIVO_AUTH_ID"}
	authTokenKeys = []string{"auth_token", "PLIVO_AUTH_TOKEN"}
)

// maxCredential limits an auth ID or token in bytes; Plivo's have 20 and 40.
const maxCredential = 1024

// CredentialsOf reads the data of a main account's Secret. Its error does not show
// the data.
func CredentialsOf(data map[string][]byte) (Credentials, error) {
	oneOf := func(keys []string) string {
		for _, key := range keys {
			if value, ok := data[key]; ok {
				return string(value)
			}
		}
		return ""
	}
	c := Credentials{AuthID: oneOf(authIDKeys), Token: NewToken(oneOf(authTokenKeys))}
	return c, c.Validate()
}

// CredentialKeys returns the entries of a Secret's data that CredentialsOf reads,
// without values that are too long for credentials.
func CredentialKeys(data map[string][]byte) map[string][]byte {
	kept := map[string][]byte{}
	for _, key := range append(authIDKeys, authTokenKeys...) {
		if value, ok := data[key]; ok && len(value) <= maxCredential {
			kept[key] = value
		}
	}
	return kept
}

// Validate checks the form of the credentials. Its error does not show them.
func (c Credentials) Validate() error {
	if !mainAuthID.MatchString(c.AuthID) {
		return errors.New("the auth ID is not of a main account (MA and 18 capital letters or digits)")
	}
	if c.Token.IsZero() {
		return errors.New("the auth token is empty")
	}
	if !printable(c.Token.Reveal()) {
		return errors.New("the auth token contains white space or characters that are not printable ASCII")
	}
	return nil
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Created is the result of a create call.
type Created struct {
	AuthID string
	Token  Token
}

// Subaccount is one subaccount as get and list return it.
type Subaccount struct {
	AuthID string
	// Token is zero in a list that masks tokens.
	Token   Token
	Name    string
	Enabled bool
	// Created and Modified are dates, YYYY-MM-DD; Modified is empty until the
	// first update.
	Created, Modified string
}

// Page is one page of the list.
type Page struct {
	Subaccounts []Subaccount
	// Skipped has the auth IDs or positions of the rows that could not be read.
	Skipped []string
	// Total is the number of subaccounts of the main account at the time of this page.
	Total int
}

// rows returns how many rows of the list the page covers.
func (p Page) rows() int { return len(p.Subaccounts) + len(p.Skipped) }

// Client makes the five calls for one main account. Every call takes its timeout from
// the context and returns an *Error or nil. The client never retries a call.
type Client struct {
	base        *url.URL
	http        *http.Client
	credentials Credentials
	scrub       *scrubber
	userAgent   string
}

// NewClient returns a Client. base comes from ParseBaseURL, and httpClient from
// NewHTTPClient.
func NewClient(base *url.URL, httpClient *http.Client, credentials Credentials, userAgent string) *Client {
	return &Client{
		base: base, http: httpClient, credentials: credentials,
		scrub: newScrubber(credentials), userAgent: userAgent,
	}
}

// AccountID returns the auth ID of the client's main account.
func (c *Client) AccountID() string { return c.credentials.AuthID }

// Create creates a subaccount. It is not idempotent: after an Error of KindUnknown a
// subaccount may exist whose auth ID the caller does not know.
func (c *Client) Create(ctx context.Context, name string, enabled bool) (Created, error) {
	var response object
	r := request{op: OperationCreate, method: http.MethodPost, body: attributes{Name: name, Enabled: enabled}}
	if err := c.call(ctx, r, &response); err != nil {
		return Created{}, err
	}
	authID, token := optional(response.AuthID), optional(response.AuthToken)
	if !subaccountAuthID.MatchString(authID) || !isUsableToken(token) {
		return Created{}, unreadableError(r.op, http.StatusCreated, "the response has no auth_id and auth_token")
	}
	return Created{AuthID: authID, Token: NewToken(token)}, nil
}

// Get reads one subaccount.
func (c *Client) Get(ctx context.Context, authID string) (Subaccount, error) {
	var response object
	r := request{op: OperationGet, method: http.MethodGet, authID: authID}
	if err := c.call(ctx, r, &response); err != nil {
		return Subaccount{}, err
	}
	got, err := response.subaccount()
	if err != nil || got.AuthID != authID || got.Token.IsZero() {
		return Subaccount{}, unreadableError(r.op, http.StatusOK, "the response is not the requested subaccount with its token")
	}
	return got, nil
}

// List reads one page of at most MaxPageSize subaccounts. If the list changes between
// two pages, a row can occur twice or not at all: a page never proves an absence. List
// skips rows that it cannot read.
func (c *Client) List(ctx context.Context, limit, offset int) (Page, error) {
	var response struct {
		Meta *struct {
			TotalCount *int `json:"total_count"`
		} `json:"meta"`
		Objects []json.RawMessage `json:"objects"`
	}
	r := request{op: OperationList, method: http.MethodGet, query: url.Values{
		"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
	}}
	if err := c.call(ctx, r, &response); err != nil {
		return Page{}, err
	}
	if response.Meta == nil || response.Meta.TotalCount == nil || *response.Meta.TotalCount < 0 || response.Objects == nil {
		return Page{}, unreadableError(r.op, http.StatusOK, "the response is not a page of a list")
	}
	if len(response.Objects) > limit {
		return Page{}, unreadableError(r.op, http.StatusOK, "the page has more rows than the requested limit")
	}
	page := Page{Total: *response.Meta.TotalCount, Subaccounts: make([]Subaccount, 0, len(response.Objects))}
	for i, raw := range response.Objects {
		if s, err := row(raw, offset+i+1); err != nil {
			page.Skipped = append(page.Skipped, err.Error())
		} else {
			page.Subaccounts = append(page.Subaccounts, s)
		}
	}
	return page, nil
}

// Update sets name and enabled. It always sends both, because Plivo's documentation
// contradicts itself: name is required, and an omitted field stays as it is.
func (c *Client) Update(ctx context.Context, authID, name string, enabled bool) error {
	var response struct{}
	return c.call(ctx, request{
		op: OperationUpdate, method: http.MethodPost, authID: authID, body: attributes{Name: name, Enabled: enabled},
	}, &response)
}

// Delete deletes a subaccount. With cascade, Plivo also deletes its Applications,
// Endpoints and Numbers; without, Plivo moves them to the main account. Only a 204 is
// success.
func (c *Client) Delete(ctx context.Context, authID string, cascade bool) error {
	// Plivo's documentation has cascade in the query, but the official SDKs send it in
	// the body. The client sends the same value in both.
	return c.call(ctx, request{
		op: OperationDelete, method: http.MethodDelete, authID: authID,
		query: url.Values{"cascade": {strconv.FormatBool(cascade)}},
		body:  map[string]bool{"cascade": cascade},
	}, nil)
}

type attributes struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
}
