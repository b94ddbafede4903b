// SPDX-License-Identifier: Apache-2.0

// Package metricsauth authenticates and authorizes requests for metrics with
// TokenReview and SubjectAccessReview. It replaces the filter of controller-runtime and
// must not import k8s.io/apiserver, because that is a third of the binary and a fifth of
// a small process's memory: docs/decisions/006-what-memory-buys.md.
package metricsauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// timeout of both reviews of a request.
const timeout = 10 * time.Second

// Filter is a metricsserver.Options.FilterProvider. A request needs a bearer token that
// a TokenReview accepts, or it gets 401. A SubjectAccessReview has to allow its user the
// verb on the path, or it gets 403. If the API server does not respond, it gets 500. The
// filter reuses reviews for reviewTTL. If too many requests with unknown tokens arrive at
// once, some of them get 429.
func Filter(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	api, err := newReviews(config, client)
	if err != nil {
		return nil, err
	}
	g := newGate(api.review, time.Now)
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			status, err := g.status(req)
			if err != nil {
				log.Error(err, "Failed to review a request for metrics")
			}
			if status != http.StatusOK {
				http.Error(w, http.StatusText(status), status)
				return
			}
			next.ServeHTTP(w, req)
		}), nil
	}, nil
}

// These limits are for tokens that no review has accepted within knownTTL. Other tokens
// have no limit, so that a client with invalid tokens cannot delay Prometheus.
const (
	unknownAtOnce  = 4  // reviews in flight at the API server
	unknownWaiting = 64 // requests in review or waiting for one; the others get 429
)

// gate decides which requests need a review, and limits reviews of unknown tokens.
type gate struct {
	review  func(ctx context.Context, token, verb, path string) (status int, err error)
	memory  *memory
	waiting chan struct{}
	running chan struct{}
}

func newGate(review func(ctx context.Context, token, verb, path string) (int, error), now func() time.Time) *gate {
	return &gate{
		review: review, memory: newMemory(now),
		waiting: make(chan struct{}, unknownWaiting), running: make(chan struct{}, unknownAtOnce),
	}
}

// status returns StatusOK if the request is allowed, or the status of the response.
func (g *gate) status(req *http.Request) (status int, err error) {
	token := bearerToken(req)
	if token == "" {
		return http.StatusUnauthorized, nil
	}
	verb, path := strings.ToLower(req.Method), req.URL.Path
	key := keyOf(token, verb, path)
	if status, ok := g.memory.reviewed(key); ok {
		return status, nil
	}
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	if !g.memory.isKnown(token) {
		end, status := g.admit(ctx)
		if end == nil {
			return status, nil
		}
		defer end()
	}
	status, err = g.review(ctx, token, verb, path)
	if err == nil {
		g.memory.add(token, key, status)
	}
	return status, err
}

// admit waits until the review of an unknown token may start. It returns a function to
// call at the end of the review, or the status of the response if there is no review.
func (g *gate) admit(ctx context.Context) (end func(), status int) {
	select {
	case g.waiting <- struct{}{}:
	default:
		return nil, http.StatusTooManyRequests
	}
	select {
	case g.running <- struct{}{}:
		return func() { <-g.running; <-g.waiting }, 0
	case <-ctx.Done():
		<-g.waiting
		return nil, http.StatusServiceUnavailable
	}
}

func bearerToken(req *http.Request) string {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

type reviews struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
}

func newReviews(config *rest.Config, client *http.Client) (*reviews, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.RateLimiter = -1, nil // the gate limits the reviews
	authentication, errTokens := authenticationclient.NewForConfigAndClient(config, client)
	authorization, errAccess := authorizationclient.NewForConfigAndClient(config, client)
	if err := errors.Join(errTokens, errAccess); err != nil {
		return nil, err
	}
	return &reviews{authentication.TokenReviews(), authorization.SubjectAccessReviews()}, nil
}

// review gets the user of the token and the user's right from the API server.
func (r *reviews) review(ctx context.Context, token, verb, path string) (status int, err error) {
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	may, err := r.access.Create(ctx, accessReview(&who.Status.User, verb, path), metav1.CreateOptions{})
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if !may.Status.Allowed || may.Status.Denied {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

func accessReview(user *authenticationv1.UserInfo, verb, path string) *authorizationv1.SubjectAccessReview {
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: verb, Path: path},
	}}
}
