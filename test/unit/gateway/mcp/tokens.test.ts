import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import {
  extractWWWAuthenticateParams,
  discoverOAuthProtectedResourceMetadata as metadataOf,
} from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider as OldProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as OldWire } from '@modelcontextprotocol/sdk/shared/transport.js';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Authenticator, keyRing, type TokenRules, type Tokens } from '../../../../gateway/index.js';
import { freePort } from '../../../support/free-port.js';
import { AUDIENCE, OidcIssuer } from '../../../support/oidc-issuer.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { tokensOf } from '../../../support/tokens.js';

const logger = pino({ level: 'silent' });
const PATH = '/.well-known/oauth-protected-resource';

let issuer: OidcIssuer;
let gateway: TestGateway | undefined;
let tokens: Tokens | undefined;
beforeEach(async () => {
  issuer = await OidcIssuer.start();
});
afterEach(async () => {
  tokens?.close();
  await gateway?.close();
  gateway = undefined;
  await issuer.close();
});

/** A gateway that accepts tokens for its own address, as clients of MCP ask for them. */
async function start(rules: Partial<TokenRules> = {}, publicUrl?: string): Promise<string> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  tokens = tokensOf(issuer, logger, { audiences: [`${url}/mcp`, AUDIENCE], ...rules });
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([]), tokens }, logger);
  gateway = await testGateway({}, { authenticator, ...(publicUrl !== undefined && { publicUrl }) });
  await gateway.app.listen({ host: '127.0.0.1', port });
  return url;
}

const post = (url: string, method: string, token?: string) =>
  fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name: 'greet', arguments: { name: 'Ada' } } }),
  });

const info = { name: 'millrace-test', version: '1' };
const credentials = () => ({ clientId: 'an-agent', clientSecret: 'its-secret', expectedIssuer: issuer.url });

describe('a client of MCP without a token', () => {
  it('is told where the metadata are, and who issues tokens for the door', async () => {
    const url = await start();
    const refused = await post(url, 'tools/list');
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer realm="millrace", scope="millrace:read millrace:run", resource_metadata="${url}${PATH}/mcp"`,
    ]);
    const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(refused);
    expect([String(resourceMetadataUrl), scope]).toEqual([`${url}${PATH}/mcp`, 'millrace:read millrace:run']);
    const expected = {
      resource: `${url}/mcp`,
      authorization_servers: [issuer.url],
      bearer_methods_supported: ['header'],
      scopes_supported: ['millrace:read', 'millrace:run'],
    };
    // By the path alone, as a client finds them that has no challenge.
    expect(await metadataOf(`${url}/mcp`)).toMatchObject(expected);
    const whole = await fetch(`${url}${PATH}`);
    expect([whole.status, await whole.json()]).toMatchObject([200, { ...expected, resource: url }]);
    const elsewhere = await fetch(`${url}/v1/pipelines`);
    expect(elsewhere.headers.get('www-authenticate')).toContain(`resource_metadata="${url}${PATH}"`);
  });

  it('gets one by itself: the newest client', async () => {
    const url = await start();
    const client = new Client(info, { versionNegotiation: { mode: 'auto' } });
    const authProvider = new ClientCredentialsProvider(credentials());
    await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider }));
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('greet');
    expect(issuer.requests[0]).toMatchObject({ grant_type: 'client_credentials', resource: `${url}/mcp` });
    await client.close();
  });

  it('gets one by itself: the client of before', async () => {
    const url = await start();
    const client = new OldClient(info);
    const authProvider = new OldProvider(credentials());
    await client.connect(new OldTransport(new URL(`${url}/mcp`), { authProvider }) as OldWire);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('greet');
    expect(issuer.requests[0]).toMatchObject({ grant_type: 'client_credentials', resource: `${url}/mcp` });
    await client.close();
  });
});

describe('a client of MCP with a token', () => {
  it('is refused one for somebody else, though the same issuer made it', async () => {
    const url = await start();
    const refused = await post(url, 'tools/list', await issuer.token({ aud: 'https://other.example/mcp' }));
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ]);
  });

  it('is told which scope a call needs, besides those that it has', async () => {
    const url = await start();
    const token = await issuer.token({ scope: 'millrace:read' });
    expect((await post(url, 'tools/list', token)).status).toBe(200);
    const refused = await post(url, 'tools/call', token);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ jsonrpc: '2.0', error: { data: { code: 'FORBIDDEN' } } });
    expect(refused.headers.get('www-authenticate')).toBe(
      'Bearer realm="millrace", error="insufficient_scope", scope="millrace:read millrace:run", ' +
        `resource_metadata="${url}${PATH}/mcp"`,
    );
    expect(gateway?.temporal.runs.size).toBe(0);
  });

  it('is told scopes as the provider calls them', async () => {
    const url = await start({ scopePrefix: 'api://gateway/' });
    const metadata = await (await fetch(`${url}${PATH}/mcp`)).json();
    expect(metadata).toMatchObject({ scopes_supported: ['api://gateway/millrace:read', 'api://gateway/millrace:run'] });
    const refused = await post(url, 'tools/call', await issuer.token({ scope: 'api://gateway/millrace:read' }));
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      403,
      expect.stringContaining('scope="api://gateway/millrace:read api://gateway/millrace:run"'),
    ]);
  });
});

describe('the metadata', () => {
  it('are at the address that callers use, not at that of the request', async () => {
    const url = await start({}, 'https://ai.acme.example/millrace/');
    const base = 'https://ai.acme.example/millrace';
    expect((await post(url, 'tools/list')).headers.get('www-authenticate')).toContain(`"${base}${PATH}/mcp"`);
    expect(await (await fetch(`${url}${PATH}/mcp`)).json()).toMatchObject({ resource: `${base}/mcp` });
  });

  it('have no scopes where tokens need none, or have them elsewhere', async () => {
    const unscoped: Partial<TokenRules>[] = [{ permissionClaims: ['roles'] }, { permissions: ['read', 'run'] }];
    for (const rules of unscoped) {
      const url = await start(rules);
      expect(await (await fetch(`${url}${PATH}`)).json()).not.toHaveProperty('scopes_supported');
      expect((await post(url, 'tools/list')).headers.get('www-authenticate')).not.toContain('scope');
      tokens?.close();
      await gateway?.close();
      gateway = undefined;
    }
  });

  it('are quoted in no header if the host of the request is no plain name', async () => {
    await start();
    const response = await gateway?.app.inject({ url: '/v1/pipelines', headers: { host: 'a", scope="all' } });
    expect([response?.statusCode, response?.headers['www-authenticate']]).toEqual([
      401,
      'Bearer realm="millrace", scope="millrace:read millrace:run"',
    ]);
  });

  it('are not there without an issuer', async () => {
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([]) }, logger);
    gateway = await testGateway({}, { authenticator });
    for (const url of [PATH, `${PATH}/mcp`]) {
      const response = await gateway.app.inject({ url });
      expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, 'Bearer realm="millrace"']);
    }
  });
});
