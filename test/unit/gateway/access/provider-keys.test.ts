import type { JSONWebKeySet } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, type Mock, test, vi } from 'vitest';
import { ProviderKeys } from '../../../../gateway/access/tokens/index.js';
import { readProviderKeys } from '../../../../gateway/index.js';
import { OidcIssuer, publicJwk, type SigningKey, sendJson, signingKey } from '../../../support/oidc-issuer.js';

const logger = pino({ level: 'silent' });

type Source = (signal: AbortSignal) => Promise<JSONWebKeySet>;

let first: SigningKey;
let second: SigningKey;
beforeAll(async () => {
  first = await signingKey('first');
  second = await signingKey('second');
});

describe('keys', () => {
  let keys: ProviderKeys;
  let published: SigningKey[];
  let source: Mock<Source>;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    published = [first];
    source = vi.fn<Source>(async () => ({ keys: await Promise.all(published.map(publicJwk)) }));
    keys = new ProviderKeys(source, logger);
  });
  afterEach(() => {
    keys.close();
    vi.useRealTimers();
  });

  const find = async (kid: string) => await keys.keyOf({ alg: 'ES256', kid }, { payload: '', signature: '' });
  const unknown = (kid: string) => expect(find(kid)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  const away = (kid: string) =>
    expect(find(kid)).rejects.toMatchObject({ code: 'ISSUER_UNAVAILABLE', details: { retryAfterMs: 10_000 } });

  test('are read once for all requests that wait for them', async () => {
    await Promise.all([find('first'), find('first'), unknown('third')]);
    expect(source).toHaveBeenCalledTimes(1);
  });

  test('that are new are found by the tokens that name them, and old ones are dropped', async () => {
    await find('first');
    published = [second];
    vi.advanceTimersByTime(30_000);
    await find('second');
    await unknown('first');
    expect(source).toHaveBeenCalledTimes(2);
  });

  test('that nobody has are asked for once in half a minute, however many tokens name them', async () => {
    await find('first');
    for (let i = 0; i < 50; i++) await unknown(`guess-${i}`);
    expect(source).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(30_000);
    await Promise.all(Array.from({ length: 50 }, (_, i) => unknown(`guess-${i}`)));
    expect(source).toHaveBeenCalledTimes(2);
  });

  test('are read again in intervals: one that was withdrawn is not accepted for long', async () => {
    await find('first');
    published = [second];
    await vi.advanceTimersByTimeAsync(600_000);
    expect(source).toHaveBeenCalledTimes(2);
    // Waits for the read.
    await find('second');
    await unknown('first');
    expect(source).toHaveBeenCalledTimes(2);
  });

  test('stay valid while the provider is away; others can be told of neither', async () => {
    await find('first');
    source.mockRejectedValue(new Error('away'));
    await vi.advanceTimersByTimeAsync(600_000);
    await find('first');
    for (let i = 0; i < 20; i++) await away('second');
    // Requests do not wait for a provider that has just failed.
    expect(source).toHaveBeenCalledTimes(2);
    await expect(keys.check()).rejects.toMatchObject({ code: 'ISSUER_UNAVAILABLE' });
    published = [first, second];
    source.mockImplementation(async () => ({ keys: await Promise.all(published.map(publicJwk)) }));
    await vi.advanceTimersByTimeAsync(10_000);
    // The read may still be in progress; whoever asks waits for it.
    await find('second');
    await keys.check();
    expect(source).toHaveBeenCalledTimes(3);
  });

  test('that are known are given without waiting for a provider that does not answer', async () => {
    await find('first');
    source.mockReturnValue(new Promise<never>(() => undefined));
    vi.advanceTimersByTime(600_000);
    expect(source).toHaveBeenCalledTimes(2);
    await find('first');
  });

  test('stay as they are if the provider publishes what is no set of keys', async () => {
    await find('first');
    source.mockResolvedValue({ keys: 'none' } as never);
    await vi.advanceTimersByTimeAsync(600_000);
    await find('first');
    await away('second');
  });

  test('are not read any more once they are closed', async () => {
    await find('first');
    keys.close();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(source).toHaveBeenCalledTimes(1);
  });
});

describe('a provider', () => {
  const CONFIGURATION = '/.well-known/openid-configuration';
  const never = new AbortController().signal;
  let issuer: OidcIssuer;
  beforeEach(async () => {
    issuer = await OidcIssuer.start();
  });
  afterEach(() => issuer.close());

  test('is read by its discovery document', async () => {
    expect((await readProviderKeys(issuer.url, never)).keys).toMatchObject([{ kid: 'first', kty: 'EC' }]);
    expect(issuer.asked).toEqual([CONFIGURATION, '/keys']);
  });

  test('may have a path, and a slash at its end', async () => {
    const realm = `${issuer.url}/realms/acme/`;
    const document = { ...issuer.configuration(), issuer: realm };
    issuer.instead.set(`/realms/acme${CONFIGURATION}`, (response) => sendJson(response, document));
    expect((await readProviderKeys(realm, never)).keys).toHaveLength(1);
  });

  const configured = (more: object) => () => ({ ...issuer.configuration(), ...more });
  const refused: [what: string, path: string, answer: () => unknown, why: RegExp][] = [
    ['is another one', CONFIGURATION, configured({ issuer: 'https://evil.example' }), /must be exactly/],
    ['differs by a slash', CONFIGURATION, () => ({ ...issuer.configuration(), issuer: `${issuer.url}/` }), /exactly/],
    ['says nothing of keys', CONFIGURATION, configured({ jwks_uri: undefined }), /jwks_uri/],
    ['has its keys in the open', CONFIGURATION, configured({ jwks_uri: 'http://keys.example/keys' }), /neither https/],
    ['has no keys', '/keys', () => ({ keys: [] }), /keys/],
    ['has no list of keys', '/keys', () => ({}), /keys/],
    ['has keys without end', '/keys', () => ({ keys: [{ kid: 'x'.repeat(300_000) }] }), /larger than 262144/],
  ];
  test.each(refused)('that %s is refused', async (_, path, answer, why) => {
    issuer.instead.set(path, (response) => sendJson(response, answer()));
    const reading = readProviderKeys(issuer.url, never);
    await expect(reading).rejects.toMatchObject({ code: 'ISSUER_UNAVAILABLE', message: expect.stringMatching(why) });
  });

  test('that sends elsewhere, fails or writes no JSON is refused', async () => {
    const reading = async () => await readProviderKeys(issuer.url, never).catch(({ code, message }) => [code, message]);
    issuer.instead.set('/keys', (response) => response.writeHead(302, { location: `${issuer.url}/other` }).end());
    expect(await reading()).toEqual(['ISSUER_UNAVAILABLE', expect.stringContaining('answered 302')]);
    issuer.instead.set('/keys', (response) => response.writeHead(500).end());
    expect(await reading()).toEqual(['ISSUER_UNAVAILABLE', expect.stringContaining('answered 500')]);
    issuer.instead.set('/keys', (response) => response.end('<html>'));
    expect(await reading()).toEqual(['ISSUER_UNAVAILABLE', expect.any(String)]);
    issuer.away = true;
    expect(await reading()).toEqual(['ISSUER_UNAVAILABLE', expect.any(String)]);
    expect(issuer.asked).not.toContain('/other');
  });
});
