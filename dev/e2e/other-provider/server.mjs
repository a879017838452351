// An OpenID provider that Wardpost's authors did not write: npm's oidc-provider, certified and strict, with a page to
// choose an account. It prints one JSON line with its issuer when it serves.
//
//   node server.mjs '{"client_id": "...", "client_secret": "...", "redirect_uri": "http://127.0.0.1:8080/sign-in/callback"}'
//
// A `port` beside them is taken instead of any free one.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { Provider, interactionPolicy } from 'oidc-provider';

const client = JSON.parse(process.argv[2]);

const people = new Map([
  ['ines', { email: 'ines@clinic.example', email_verified: true, name: 'Inês Duarte', hd: 'clinic.example' }],
  ['piet', { email: 'piet@elsewhere.example', email_verified: true, name: 'Piet Outsider' }],
  ['vera', { email: 'vera@clinic.example', email_verified: false, name: 'Vera Unverified', hd: 'clinic.example' }],
]);

// The issuer names the port, so the port is taken before the provider is made.
const server = createServer();
await new Promise((listening) => server.listen(client.port ?? 0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

// Google has `prompt=select_account`, which the standard names too and oidc-provider leaves to its operator.
const prompts = interactionPolicy.base();
prompts.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client.client_id,
      client_secret: client.client_secret,
      redirect_uris: [client.redirect_uri],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: randomUUID() }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  pkce: { required: () => true, methods: ['S256'] },
  // Google puts these claims into the ID token; left alone, oidc-provider keeps them for the userinfo endpoint.
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'hd'], email: ['email', 'email_verified'], profile: ['name'] },
  features: { devInteractions: { enabled: false } },
  interactions: { policy: prompts, url: (_context, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(_context, id) {
    return people.has(id) ? { accountId: id, claims: async () => ({ sub: id, ...people.get(id) }) } : undefined;
  },
});

/** Everything the client asked for is granted: consent is not what is tested here. */
async function grantEverything(interaction) {
  const { prompt, params, session } = interaction;
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
}

const choicePage = [
  '<!doctype html><html lang="en"><title>Other provider</title><main><h1>Choose an account</h1>',
  ...[...people].map(
    ([id, person]) => `<form method="post"><button name="account" value="${id}">${person.name}</button></form>`,
  ),
  '</main></html>',
].join('\n');

async function interact(request, response) {
  const interaction = await provider.interactionDetails(request, response);
  if (interaction.prompt.name === 'consent') {
    const result = await grantEverything(interaction);
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(choicePage);
    return;
  }
  let form = '';
  for await (const chunk of request) form += chunk;
  const accountId = new URLSearchParams(form).get('account');
  await provider.interactionFinished(request, response, { select_account: {}, login: { accountId } });
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  interact(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end('the interaction failed; the log has the reason\n');
  });
});
console.log(JSON.stringify({ issuer }));
