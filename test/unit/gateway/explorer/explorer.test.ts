import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const { secret, key } = issueKey({ name: 'a person', tenant: 'acme', permissions: ['run', 'read'] });

let gateway: TestGateway;
beforeEach(async () => {
  const access = { by: 'key', keys: keyRing([key]) } as const;
  gateway = await testGateway({}, { authenticator: new Authenticator(access, pino({ level: 'silent' })) });
});
afterEach(() => gateway.close());

const get = (url: string, headers: Record<string, string> = {}) => gateway.app.inject({ url, headers });

describe('the explorer', () => {
  test('is served without a key, and what it shows with one', async () => {
    const page = await get('/explorer');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect((await get('/openapi.json')).statusCode).toBe(401);
    expect((await get('/openapi.json', { authorization: `Bearer ${secret}` })).statusCode).toBe(200);
  });

  test('is what the root leads to, also behind a path of a proxy', async () => {
    const { statusCode, headers } = await get('/');
    expect([statusCode, headers.location]).toEqual([302, 'explorer']);
  });

  test('and other doors bear a Host that is the name of none', async () => {
    const headers = { host: '[', authorization: `Bearer ${secret}` };
    expect((await get('/openapi.json', headers)).statusCode).toBe(200);
    const sent = { ...headers, origin: 'https://evil.example', accept: 'application/json, text/event-stream' };
    const payload = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const answer = await gateway.app.inject({ method: 'POST', url: '/mcp', headers: sent, payload });
    expect(answer.statusCode).toBe(403);
  });

  test('names only files of its own, and all of them are there', async () => {
    const { body } = await get('/explorer');
    const named = [...body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, name]) => name as string);
    const own = named.filter((name) => name !== 'data:,' && name !== 'openapi.json');
    expect(own.toSorted()).toEqual([
      'explorer/explorer.css',
      'explorer/explorer.js',
      'explorer/swagger-ui-bundle.js',
      'explorer/swagger-ui.css',
    ]);
    for (const name of own) {
      const file = await get(`/${name}`);
      expect(file.statusCode, name).toBe(200);
      expect(file.headers['content-type'], name).toMatch(
        name.endsWith('.css') ? /^text\/css\b/ : /^text\/javascript\b/,
      );
      expect(file.rawPayload.length, name).toBeGreaterThan(500);
    }
    const css = (await get('/explorer/swagger-ui.css')).body;
    const addresses = [...css.matchAll(/url\(["']?([a-z]*:|[^"')]{0,40})/g)].map(([, start]) => start);
    expect(new Set(addresses)).toEqual(new Set(['data:']));
  });

  test('runs no script and takes no style that stands in the page, from nowhere but the gateway', async () => {
    const { body, headers } = await get('/explorer');
    expect(body).not.toMatch(/<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/);
    const policy = String(headers['content-security-policy']);
    expect(policy.split('; ')).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]),
    );
    expect(policy).not.toContain('unsafe');
    for (const url of ['/explorer', '/explorer/explorer.js', '/explorer/swagger-ui-bundle.js']) {
      const file = await get(url);
      expect(file.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'content-security-policy': policy });
    }
  });

  test('is compressed for who takes it, and not sent again to who has it', async () => {
    const plain = await get('/explorer/swagger-ui-bundle.js');
    const zipped = await get('/explorer/swagger-ui-bundle.js', { 'accept-encoding': 'gzip, br' });
    expect(zipped.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(zipped.rawPayload).equals(plain.rawPayload)).toBe(true);
    const again = await get('/explorer/swagger-ui-bundle.js', { 'if-none-match': String(plain.headers.etag) });
    expect([again.statusCode, again.body]).toEqual([304, '']);
  });

  test('has no other file', async () => {
    for (const name of ['', 'LICENSE', '..%2fexplorer-routes.ts', '..%2f..%2fgateway.ts', 'constructor']) {
      const answer = await get(`/explorer/${name}`);
      expect([name, answer.statusCode, answer.json<{ code: string }>().code]).toEqual([name, 404, 'ROUTE_NOT_FOUND']);
    }
  });
});
