// An OpenID provider at the paths of Auth0, with a login page that asks for nothing but who
// logs in. Its argument is JSON: the port, the client with its callback, and the claims of
// each account by its subject.
import Provider from 'oidc-provider';

const { port, client, accounts } = JSON.parse(process.argv[2]);

const provider = new Provider(`http://127.0.0.1:${port}/`, {
  clients: [client],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['a key for the cookies of one test'] },
  features: { devInteractions: { enabled: false } },
  findAccount: (ctx, sub) => accounts[sub] && { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // Nobody is asked for consent, as for a first-party application at Auth0.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
  pkce: { methods: ['S256'], required: () => true },
  routes: { authorization: '/authorize', jwks: '/.well-known/jwks.json', token: '/oauth/token', userinfo: '/userinfo' },
});

const page = '<!doctype html><form method="post"><input name="account"><button>Continue</button></form>';

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method !== 'POST') {
    ctx.type = 'html';
    ctx.body = page;
    return;
  }
  let form = '';
  for await (const part of ctx.req) form += part;
  const accountId = new URLSearchParams(form).get('account');
  const result = accounts[accountId] ? { login: { accountId } } : { error: 'access_denied', error_description: 'unknown account' };
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
  ctx.status = 303;
});

provider.on('server_error', (ctx, err) => console.error(err));
provider.listen(port, '127.0.0.1', () => console.log('listening'));
