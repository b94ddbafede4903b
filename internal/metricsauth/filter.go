// Package metricsauth lets those read the metrics whom the API server knows and
// lets. It does what controller-runtime's filter does, by the two reviews alone
// and without k8s.io/apiserver, which is a third of a binary and a fifth of a
// small process's memory: docs/decisions/006-what-memory-buys.md.
package metricsauth

import (
	"context"
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

// Filter is a metricsserver.Options.FilterProvider: a request needs a bearer
// token that a TokenReview accepts (else 401), of a user whom a
// SubjectAccessReview lets use its verb on its path (else 403). Where the API
// server does not answer, it is 500. Each request is reviewed anew, so that
// what is withdrawn is gone at once; at most 20 a second, so that who floods
// the endpoint does not flood the API server.
func Filter(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.RateLimiter = 20, 40, nil
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	r := reviews{authentication.TokenReviews(), authorization.SubjectAccessReviews()}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			status, err := r.judge(req)
			if err != nil {
				log.Error(err, "who asks for the metrics cannot be reviewed")
			}
			if status != http.StatusOK {
				http.Error(w, http.StatusText(status), status)
				return
			}
			next.ServeHTTP(w, req)
		}), nil
	}, nil
}

type reviews struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
}

// judge returns the status of the answer, StatusOK for a request that may go on.
func (r reviews) judge(req *http.Request) (status int, err error) {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return http.StatusUnauthorized, nil
	}
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	may, err := r.access.Create(ctx, accessReview(&who.Status.User, req), metav1.CreateOptions{})
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if !may.Status.Allowed || may.Status.Denied {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

func accessReview(user *authenticationv1.UserInfo, req *http.Request) *authorizationv1.SubjectAccessReview {
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{
			Verb: strings.ToLower(req.Method), Path: req.URL.Path,
		},
	}}
}
