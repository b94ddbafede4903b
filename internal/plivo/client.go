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
	// MaxPageSize is the largest limit that list accepts (Plivo's documentation).
	MaxPageSize = 20

	// maxBody bounds an answer; a page of twenty is about 8 KiB.
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

// The keys of a main account's Secret, the preferred one first.
var (
	authIDKeys    = []string{"auth_id", "PLIVO_AUTH_ID"}
	authTokenKeys = []string{"auth_token", "PLIVO_AUTH_TOKEN"}
)

// maxCredential bounds an auth ID or token, in bytes; Plivo's have 20 and 40.
const maxCredential = 1024

// CredentialsOf reads the data of a main account's Secret, and says what is
// wrong with it without showing it.
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

// CredentialKeys returns what CredentialsOf reads of a Secret's data, without
// values that are too long for credentials.
func CredentialKeys(data map[string][]byte) map[string][]byte {
	kept := map[string][]byte{}
	for _, key := range append(authIDKeys, authTokenKeys...) {
		if value, ok := data[key]; ok && len(value) <= maxCredential {
			kept[key] = value
		}
	}
	return kept
}

// Validate says what is wrong with the form of the credentials, without showing them.
func (c Credentials) Validate() error {
	if !mainAuthID.MatchString(c.AuthID) {
		return errors.New("the auth ID is not a main account's (MA and 18 capital letters or digits)")
	}
	if c.Token.IsZero() {
		return errors.New("the auth token is empty")
	}
	if !printable(c.Token.Reveal()) {
		return errors.New("the auth token holds white space or characters that are not printable ASCII")
	}
	return nil
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Created is what a create call returns.
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
	// Skipped names the rows that could not be read, by auth ID or position.
	Skipped []string
	// Total is how many subaccounts the main account had when this page was made.
	Total int
}

// rows is how many rows of the list the page covers.
func (p Page) rows() int { return len(p.Subaccounts) + len(p.Skipped) }

// Client makes the five calls for one main account. Every call takes its time
// limit from the context, returns an *Error or nil, and is never repeated by
// the client.
type Client struct {
	base        *url.URL
	http        *http.Client
	credentials Credentials
	scrub       *scrubber
	userAgent   string
}

// NewClient makes a Client; base comes from ParseBaseURL and httpClient from
// NewHTTPClient.
func NewClient(base *url.URL, httpClient *http.Client, credentials Credentials, userAgent string) *Client {
	return &Client{
		base: base, http: httpClient, credentials: credentials,
		scrub: newScrubber(credentials), userAgent: userAgent,
	}
}

// AccountID is the main account that this client speaks for.
func (c *Client) AccountID() string { return c.credentials.AuthID }

// Create makes a subaccount. It is not idempotent: after an Error of
// KindUnknown a subaccount may exist whose ID nobody knows.
func (c *Client) Create(ctx context.Context, name string, enabled bool) (Created, error) {
	var answer object
	r := request{op: OperationCreate, method: http.MethodPost, body: attributes{Name: name, Enabled: enabled}}
	if err := c.call(ctx, r, &answer); err != nil {
		return Created{}, err
	}
	authID, token := optional(answer.AuthID), optional(answer.AuthToken)
	if !subaccountAuthID.MatchString(authID) || !isUsableToken(token) {
		return Created{}, unreadableError(r.op, http.StatusCreated, "the answer holds no auth_id and auth_token")
	}
	return Created{AuthID: authID, Token: NewToken(token)}, nil
}

// Get reads one subaccount.
func (c *Client) Get(ctx context.Context, authID string) (Subaccount, error) {
	var answer object
	r := request{op: OperationGet, method: http.MethodGet, authID: authID}
	if err := c.call(ctx, r, &answer); err != nil {
		return Subaccount{}, err
	}
	got, err := answer.subaccount()
	if err != nil || got.AuthID != authID || got.Token.IsZero() {
		return Subaccount{}, unreadableError(r.op, http.StatusOK, "the answer is not the requested subaccount with its token")
	}
	return got, nil
}

// List reads one page of at most MaxPageSize subaccounts. A list that changes
// meanwhile can repeat an item or miss one: it never proves absence. A row that
// cannot be read costs no other row of the page.
func (c *Client) List(ctx context.Context, limit, offset int) (Page, error) {
	var answer struct {
		Meta *struct {
			TotalCount *int `json:"total_count"`
		} `json:"meta"`
		Objects []json.RawMessage `json:"objects"`
	}
	r := request{op: OperationList, method: http.MethodGet, query: url.Values{
		"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
	}}
	if err := c.call(ctx, r, &answer); err != nil {
		return Page{}, err
	}
	if answer.Meta == nil || answer.Meta.TotalCount == nil || *answer.Meta.TotalCount < 0 || answer.Objects == nil {
		return Page{}, unreadableError(r.op, http.StatusOK, "the answer is not a page of a list")
	}
	if len(answer.Objects) > limit {
		return Page{}, unreadableError(r.op, http.StatusOK, "the page holds more than was asked for")
	}
	page := Page{Total: *answer.Meta.TotalCount, Subaccounts: make([]Subaccount, 0, len(answer.Objects))}
	for i, raw := range answer.Objects {
		if s, err := row(raw, offset+i+1); err != nil {
			page.Skipped = append(page.Skipped, err.Error())
		} else {
			page.Subaccounts = append(page.Subaccounts, s)
		}
	}
	return page, nil
}

// Update sets name and enabled, always both: Plivo's documentation calls name
// required and also says that what is left out stays.
func (c *Client) Update(ctx context.Context, authID, name string, enabled bool) error {
	var answer struct{}
	return c.call(ctx, request{
		op: OperationUpdate, method: http.MethodPost, authID: authID, body: attributes{Name: name, Enabled: enabled},
	}, &answer)
}

// Delete deletes a subaccount. With cascade its Applications, Endpoints and
// Numbers are deleted too; without, they go to the main account. Only a 204
// is success.
func (c *Client) Delete(ctx context.Context, authID string, cascade bool) error {
	// The documentation has cascade in the query, the official SDKs send it in a
	// body: both are sent, saying the same.
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
