// SPDX-License-Identifier: Apache-2.0

// Command program is the only program in the test's image. As the container of a Pod's
// sandbox it waits. As a tenant it uses the credentials in its environment at Plivo, and is
// ready if Plivo knows them.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	if id := os.Getenv("PLIVO_AUTH_ID"); id != "" {
		if err := authenticate(id, os.Getenv("PLIVO_AUTH_TOKEN")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", http.NotFoundHandler()))
			os.Exit(1)
		}()
	}
	<-end
}

// authenticate sends a request as the subaccount. A subaccount may not read the list of
// subaccounts: Plivo responds with 403 if it knows the credentials, and with 401 if not.
func authenticate(id, token string) error {
	req, err := http.NewRequest(http.MethodGet, os.Getenv("PLIVO_URL")+"/v1/Account/"+id+"/Subaccount/", http.NoBody)
	if err != nil {
		return err
	}
	req.SetBasicAuth(id, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		return fmt.Errorf("got %s, want 403", resp.Status)
	}
	return nil
}
