// A real OpenID Connect issuer for the tests: `node issuer.mjs CONFIGURATION.json`.
//
// The configuration has port, audience, ttl_s, keys (JWKs with their private parts; the first one signs)
// and clients: {id, secret, account, scopes}. A client gets a JWT access token for the audience by the
// grant client_credentials. The port is printed once it listens.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [, , path, modules] = process.argv;
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));
const { port, audience, ttl_s, keys, clients } = JSON.parse(readFileSync(path, 'utf8'));
const accounts = new Map(clients.map(({ id, account }) => [id, account]));
const scopes = [...new Set(clients.flatMap((client) => client.scopes.split(' ')))].join(' ');

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys },
  clients: clients.map(({ id, secret, scopes: scope }) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope,
    id_token_signed_response_alg: keys[0].alg,
  })),
  extraTokenClaims: (_context, token) => ({ openvenue_account: accounts.get(token.clientId) }),
  scopes: scopes.split(' '),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: scopes,
        audience,
        accessTokenTTL: ttl_s,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: keys[0].alg, kid: keys[0].kid } },
      }),
    },
  },
});
provider.listen(port, '127.0.0.1', () => console.log('listening'));
