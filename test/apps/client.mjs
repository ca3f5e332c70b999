// An application with a library of others: one step for each start. Its argument is JSON: the
// library, the step, and what the step needs. It prints the result as JSON.
import { webcrypto } from 'node:crypto';
import { AuthenticationClient } from 'auth0';
import * as openid from 'openid-client';

globalThis.crypto ??= webcrypto; // Node 18, that of Debian 12, has it only as a module

const { library, step, host, client, secret, callback, verifier, back, refresh } = JSON.parse(process.argv[2]);
const scope = 'openid profile email offline_access';

const auth0 = {
  sdk: () => new AuthenticationClient({ domain: host, clientId: client, clientSecret: secret }),
  async exchange() {
    const code = new URL(back).searchParams.get('code');
    return (await this.sdk().oauth.authorizationCodeGrantWithPKCE({ code, code_verifier: verifier, redirect_uri: callback })).data;
  },
  async refresh() {
    return (await this.sdk().oauth.refreshTokenGrant({ refresh_token: refresh })).data;
  },
};

const certified = {
  discover: () => openid.discovery(new URL(`https://${host}/`), client, undefined, openid.None()),
  async exchange() {
    const checks = { pkceCodeVerifier: verifier, expectedState: 'a-state-of-the-application' };
    return openid.authorizationCodeGrant(await this.discover(), new URL(back), checks);
  },
  async refresh() {
    return openid.refreshTokenGrant(await this.discover(), refresh);
  },
};

if (step === 'begin') {
  const query = new URLSearchParams({
    response_type: 'code', client_id: client, redirect_uri: callback, scope, state: 'a-state-of-the-application',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  console.log(JSON.stringify({ url: `https://${host}/authorize?${query}` }));
} else {
  console.log(JSON.stringify(await { auth0, 'openid-client': certified }[library][step]()));
}
