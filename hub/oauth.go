package hub

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/daypass-dev/daypass"
)

// oauth is this service as a client of the hub's OAuth (RFC 6749, 4.1). The hub
// reads the secret from the body only.
func (c *Client) oauth(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: "service-" + c.service, ClientSecret: c.token.Reveal(), RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{
			AuthURL: c.public + "hub/api/oauth2/authorize", TokenURL: c.api + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// AuthCodeURL is where a browser is sent to say who it is. redirect is exactly
// what the hub's configuration has for the service: a path on the hub's own
// origin, or a whole address. Hubs before 6.0 do not look at the verifier; it is
// always sent.
func (c *Client) AuthCodeURL(state, verifier, redirect string) string {
	return c.oauth(redirect).AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

// Exchange spends the code that came back. The token is good for asking
// [Client.Whoami], which then says ViaBrowser; it lasts as long as the hub's own
// login and must not leave the service.
func (c *Client) Exchange(ctx context.Context, code, verifier, redirect string) (daypass.Secret, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, c.http)
	t, err := c.oauth(redirect).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var reply *oauth2.RetrieveError
	switch {
	case err == nil:
		return daypass.NewSecret(t.AccessToken), nil
	case !errors.As(err, &reply):
		return daypass.Secret{}, unreachable(errDown)
	case reply.ErrorCode == "invalid_client", reply.Response.StatusCode == http.StatusUnauthorized, reply.Response.StatusCode == http.StatusForbidden:
		return daypass.Secret{}, ownToken("as the secret of its sign-in")
	case reply.Response.StatusCode == http.StatusBadRequest:
		return daypass.Secret{}, badCode()
	}
	return daypass.Secret{}, unreachable(errOdd)
}
