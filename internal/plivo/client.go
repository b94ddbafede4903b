package plivo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
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

// Validate says what is wrong with the form of the credentials, without showing them.
func (c Credentials) Validate() error {
	if !mainAuthID.MatchString(c.AuthID) {
		return errors.New("the auth ID is not a main account's (MA and 18 capital letters or digits)")
	}
	if c.Token.IsZero() {
		return errors.New("the auth token is empty")
	}
	for _, r := range c.Token.Reveal() {
		if r <= ' ' || r > '~' {
			return errors.New("the auth token holds white space or characters that are not printable ASCII")
		}
	}
	return nil
}

// Created is what a create call returns.
type Created struct {
	AuthID string
	Token  Token
}

// Subaccount is one subaccount as get and list return it.
type Subaccount struct {
	AuthID  string
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
	// Total is how many subaccounts the main account had when this page was made.
	Total int
}

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
	var answer struct {
		AuthID    string `json:"auth_id"`
		AuthToken string `json:"auth_token"`
	}
	r := request{op: OperationCreate, method: http.MethodPost, body: attributes{Name: name, Enabled: enabled}}
	if err := c.call(ctx, r, &answer); err != nil {
		return Created{}, err
	}
	if !subaccountAuthID.MatchString(answer.AuthID) || answer.AuthToken == "" {
		return Created{}, unreadable(r.op, http.StatusCreated, "the answer holds no auth_id and auth_token")
	}
	return Created{AuthID: answer.AuthID, Token: NewToken(answer.AuthToken)}, nil
}

// Get reads one subaccount.
func (c *Client) Get(ctx context.Context, authID string) (Subaccount, error) {
	var answer object
	r := request{op: OperationGet, method: http.MethodGet, authID: authID}
	if err := c.call(ctx, r, &answer); err != nil {
		return Subaccount{}, err
	}
	if answer.AuthID != authID || answer.AuthToken == "" {
		return Subaccount{}, unreadable(r.op, http.StatusOK, "the answer is not the subaccount that was asked for")
	}
	return answer.subaccount(), nil
}

// List reads one page of at most MaxPageSize subaccounts. A list that changes
// meanwhile can repeat an item or miss one: it never proves absence.
func (c *Client) List(ctx context.Context, limit, offset int) (Page, error) {
	var answer struct {
		Meta *struct {
			TotalCount *int `json:"total_count"`
		} `json:"meta"`
		Objects []object `json:"objects"`
	}
	r := request{op: OperationList, method: http.MethodGet, query: url.Values{
		"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
	}}
	if err := c.call(ctx, r, &answer); err != nil {
		return Page{}, err
	}
	if answer.Meta == nil || answer.Meta.TotalCount == nil || *answer.Meta.TotalCount < 0 || answer.Objects == nil {
		return Page{}, unreadable(r.op, http.StatusOK, "the answer is not a page of a list")
	}
	if len(answer.Objects) > limit {
		return Page{}, unreadable(r.op, http.StatusOK, "the page holds more than was asked for")
	}
	page := Page{Total: *answer.Meta.TotalCount, Subaccounts: make([]Subaccount, 0, len(answer.Objects))}
	for _, o := range answer.Objects {
		if o.AuthID == "" {
			return Page{}, unreadable(r.op, http.StatusOK, "the page holds a subaccount without auth_id")
		}
		page.Subaccounts = append(page.Subaccounts, o.subaccount())
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

type object struct {
	AuthID    string  `json:"auth_id"`
	AuthToken string  `json:"auth_token"`
	Name      string  `json:"name"`
	Enabled   boolean `json:"enabled"`
	Created   string  `json:"created"`
	Modified  string  `json:"modified"`
}

func (o object) subaccount() Subaccount {
	return Subaccount{
		AuthID: o.AuthID, Token: NewToken(o.AuthToken), Name: o.Name, Enabled: bool(o.Enabled),
		Created: o.Created, Modified: o.Modified,
	}
}

// boolean reads a JSON bool, and the strings that requests are seen to carry.
type boolean bool

func (b *boolean) UnmarshalJSON(data []byte) error {
	v, err := strconv.ParseBool(string(bytes.ToLower(bytes.Trim(data, `"`))))
	*b = boolean(v)
	return err
}

type request struct {
	op     Operation
	method string
	authID string
	query  url.Values
	body   any
}

// call sends one request, once, and decodes the answer into out; out is nil
// where the one good answer is an empty 204.
func (c *Client) call(ctx context.Context, r request, out any) error {
	if passed(ctx) {
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "the time for it had passed"}
	}
	if r.needsAuthID() && !subaccountAuthID.MatchString(r.authID) {
		// An update of nothing would be a create.
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "not the auth ID of a subaccount"}
	}
	started := time.Now()
	err := c.send(ctx, r, out)
	observe(r.op, err, time.Since(started))
	if err == nil {
		return nil // and not a nil *Error in an error
	}
	return err
}

// passed says whether a context has ended. Its deadline is held against the
// clock too, because in a process that was stopped and woken the deadline can
// have passed before its timer fires; and against the clock on the wall,
// because the other one stands still while the machine sleeps.
func passed(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	now := time.Now()
	return ok && (!now.Before(deadline) || !now.Round(0).Before(deadline.Round(0)))
}

func (r request) needsAuthID() bool { return r.op != OperationCreate && r.op != OperationList }

func (c *Client) send(ctx context.Context, r request, out any) *Error {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return &Error{Kind: KindNotSent, Operation: r.op, Message: "the request could not be made"}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &Error{Kind: KindUnknown, Operation: r.op, Message: transportFailure(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return unreadable(r.op, resp.StatusCode, transportFailure(err))
	case len(body) > maxBody:
		return unreadable(r.op, resp.StatusCode, "the answer is too large")
	case out == nil && resp.StatusCode == http.StatusNoContent:
		return nil
	case out != nil && resp.StatusCode >= 200 && resp.StatusCode < 300:
		if err := json.Unmarshal(body, out); err != nil || !isObject(body) {
			return unreadable(r.op, resp.StatusCode, "the answer is not the JSON that was expected")
		}
		return nil
	default:
		return c.refusal(r.op, resp, body)
	}
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	u := *c.base
	u.Path += "/v1/Account/" + c.credentials.AuthID + "/Subaccount/"
	if r.authID != "" {
		u.Path += r.authID + "/"
	}
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		// Without it net/http cannot rewind the body, and so never sends a request
		// with one a second time, whatever it thinks became of the first. A get or
		// list, which has none, it may repeat on another connection.
		req.GetBody = nil
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	req.SetBasicAuth(c.credentials.AuthID, c.credentials.Token.Reveal())
	return req, nil
}

func unreadable(op Operation, status int, message string) *Error {
	return &Error{Kind: KindUnknown, Operation: op, Status: status, Message: message}
}

func isObject(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '{' && json.Valid(body)
}

var definite = map[int]Kind{
	http.StatusBadRequest: KindInvalid, http.StatusUnauthorized: KindUnauthorized,
	http.StatusForbidden: KindForbidden, http.StatusNotFound: KindNotFound,
	http.StatusMethodNotAllowed: KindMethodNotAllowed, http.StatusTooManyRequests: KindRateLimited,
}

// refusal reads an answer that is not success. A refusal is definite only with
// a JSON object as its body: anything else may come from something between
// here and Plivo, after Plivo has acted.
func (c *Client) refusal(op Operation, resp *http.Response, body []byte) *Error {
	e := &Error{Kind: KindUnknown, Operation: op, Status: resp.StatusCode, RetryAfter: retryAfter(resp)}
	if !isObject(body) {
		e.Message = statusText(resp.StatusCode) + ", without a JSON body"
		return e
	}
	e.Message = c.scrub.message(body)
	if e.Message == "" {
		e.Message = statusText(resp.StatusCode)
	}
	if kind, ok := definite[resp.StatusCode]; ok {
		e.Kind = kind
	}
	return e
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "no known status"
}

// retryAfter reads a Retry-After in seconds or as a date, 0 without one and at
// most an hour.
func retryAfter(resp *http.Response) time.Duration {
	v := resp.Header.Get("Retry-After")
	d := time.Duration(0)
	if s, err := strconv.Atoi(v); err == nil || errors.Is(err, strconv.ErrRange) {
		d = time.Duration(min(max(s, 0), 3600)) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = time.Until(t)
	}
	return min(max(d, 0), time.Hour)
}
