import { afterAll, describe, expect, it, vi } from 'vitest';
import { googleAuthorizer } from '../../../../../activities/connectors/http/credentials/google.js';
import { connectorContract, invoke } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking, callsOf } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { fixture } from '../servers/fixture-server.js';
import { account, forSeveralClients, Google, values } from './vertex-fixture.js';

async function vertex(run: (google: Google, server: Awaited<ReturnType<typeof fixture>>) => Promise<void>) {
  const google = new Google();
  const server = await fixture(google.tell);
  try {
    await run(google, server);
  } finally {
    await server.close();
  }
}

describe('vertex (a fixture that checks tokens and gives them for signed assertions)', async () => {
  const server = await fixture(forSeveralClients(new Google()));
  afterAll(() => server.close());
  connectorContract({
    connector: presetConnector('vertex', { values }),
    endpoint: server.url,
    key: account(server.url),
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    calls: callsOf(['chat', 'classify', 'embed', 'infer'], { chat: { text: 'Paris, of course', finish: 'stop' } }),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });
});

describe('vertex beyond the contract (a fixture that checks tokens)', () => {
  it('many calls at once share one exchange, and rawPredict is a value', () =>
    vertex(async (google, server) => {
      const backend = presetConnector('vertex', { values }).connect(server.url, account(server.url));
      await Promise.all(Array.from({ length: 8 }, () => invoke(backend, asking('text'))));
      expect(google.issued).toBe(1);
      const raw = presetConnector('vertex', { values: { ...values, method: 'rawPredict' } }).connect(
        server.url,
        account(server.url),
      );
      const reply = await invoke(raw, { ...asking('text'), with: { labels: ['raw', 'no'] } });
      expect(reply.output).toMatchObject({ label: 'raw' });
    }));

  it('quota, cold start and refused tokens have their codes, and no token or key is in a message', () =>
    vertex(async (google, server) => {
      const backend = presetConnector('vertex', { values }).connect(server.url, account(server.url));
      await expect(invoke(backend, asking('busy'))).rejects.toMatchObject({ code: 'BACKEND_RATE_LIMITED' });
      await expect(invoke(backend, asking('cold'))).rejects.toMatchObject({
        code: 'BACKEND_UNAVAILABLE',
        details: { unsent: true },
      });
      google.good = () => 'revoked';
      const error = await invoke(backend, asking('text')).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
      expect((error as Error).message).not.toContain('ya29');
      // A token that is new is not replaced: the next would be refused too.
      expect(google.issued).toBe(1);
    }));

  it('a token server that is down is waited for; one that refuses the account is BACKEND_UNAUTHORIZED', () =>
    vertex(async (google, server) => {
      const connector = presetConnector('vertex', { values });
      google.down = true;
      await expect(invoke(connector.connect(server.url, account(server.url)), asking('text'))).rejects.toMatchObject({
        code: 'BACKEND_UNAVAILABLE',
        details: { unsent: true },
      });
      google.down = false;
      const other = connector.connect(server.url, account(server.url, { client_email: 'other@x' }));
      await expect(invoke(other, asking('text'))).rejects.toMatchObject({
        code: 'BACKEND_UNAUTHORIZED',
        message: expect.stringContaining('invalid_grant'),
      });
    }));

  it('what is no service account is INVALID_SETTING, and the message has no part of it', () => {
    const connector = presetConnector('vertex', { values });
    for (const bad of [
      'ya29.a-token',
      '{"type":"authorized_user"}',
      account('http://tokens.example.com'),
      account('https://x', { private_key: 'secret-text' }),
    ]) {
      expect(() => connector.connect('http://x', bad)).toThrow(/apiKey/);
      expect(() => connector.connect('http://x', bad)).not.toThrow(/secret-text|BEGIN/);
    }
  });
});

describe('tokens of a Google service account (a fixture of the token server)', () => {
  const request = { method: 'POST', url: new URL('https://x'), headers: {}, body: new Uint8Array() };
  const unending = new AbortController().signal;

  it('are replaced before they expire, and an old one serves while its server is down or does not answer', () =>
    vertex(async (google, server) => {
      let now = 0;
      const by = googleAuthorizer(account(server.url), 'https://www.googleapis.com/auth/cloud-platform', () => now);
      const token = async () => (await by.headers(request, unending)).authorization;
      expect(await token()).toBe('Bearer ya29.token-1');
      now = 54 * 60_000;
      expect(await token()).toBe('Bearer ya29.token-1');
      now = 56 * 60_000;
      google.down = true;
      expect(await token()).toBe('Bearer ya29.token-1');
      await vi.waitFor(() => expect(google.asked).toBe(2), 15_000);
      google.down = false;
      await vi.waitFor(async () => {
        // After a pause another exchange is begun.
        now += 10_000;
        expect(await token()).toBe('Bearer ya29.token-2');
      }, 15_000);
      expect(by.secrets()).toContain('ya29.token-2');
      now += 56 * 60_000;
      google.hangs = true;
      const asked = google.asked;
      for (const _ of [1, 2, 3]) expect(await token()).toBe('Bearer ya29.token-2');
      await vi.waitFor(() => expect(google.asked).toBe(asked + 1), 15_000);
    }));

  it('an exchange that failed is not repeated at once while the old token is good', () =>
    vertex(async (google, server) => {
      let now = 0;
      const by = googleAuthorizer(account(server.url), 'https://www.googleapis.com/auth/cloud-platform', () => now);
      await by.headers(request, unending);
      now = 56 * 60_000;
      google.down = true;
      await by.headers(request, unending);
      await vi.waitFor(() => expect(google.asked).toBe(2), 15_000);
      google.down = false;
      now += 9_000;
      for (const _ of [1, 2, 3]) {
        await by.headers(request, unending);
        // By then the refusal has arrived.
        await fetch(`${server.url}/other`, { method: 'POST', body: '{}' });
      }
      expect([google.asked, google.issued]).toEqual([2, 1]);
    }));

  it('a refused one is replaced once, if it is not new', () =>
    vertex(async (_, server) => {
      let now = 0;
      const by = googleAuthorizer(account(server.url), 'https://www.googleapis.com/auth/cloud-platform', () => now);
      const sent = await by.headers(request, unending);
      const refused = { status: 401, headers: new Headers() };
      expect(by.again(refused, sent)).toBe(false);
      now = 120_000;
      expect(by.again({ ...refused, status: 403 }, sent)).toBe(false);
      expect(by.again(refused, sent)).toBe(true);
      const next = await by.headers(request, unending);
      expect(next.authorization).toBe('Bearer ya29.token-2');
      // Another call was refused with the token before: it has only to use the new one.
      expect(by.again(refused, sent)).toBe(true);
      expect(await by.headers(request, unending)).toEqual(next);
    }));

  it('a caller that ends does not wait, nor end the exchange of the others', () =>
    vertex(async (google, server) => {
      const by = googleAuthorizer(account(server.url), 'https://www.googleapis.com/auth/cloud-platform');
      const one = new AbortController();
      const first = by.headers(request, one.signal);
      const second = by.headers(request, unending);
      one.abort(new Error('left'));
      await expect(first).rejects.toThrow('left');
      expect((await second).authorization).toBe('Bearer ya29.token-1');
      expect(google.issued).toBe(1);
    }));
});
