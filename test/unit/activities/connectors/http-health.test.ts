import { describe, expect, it } from 'vitest';
import { describedHttp, json, posts } from './described-http.js';

const { server, open, last, sentJson } = describedHttp();

describe('health, canaries and versions', () => {
  const api = {
    ...posts('$/input'),
    health: { path: '/health/{model}', ready: { at: '/body/ready', is: true } },
    identity: { path: '/meta', at: ['/body/version'] },
  };
  const signal = () => AbortSignal.timeout(110_000);

  it('is ready when its health path says so', async () => {
    const backend = open('embed', api);
    server.gives(200, '{"ready":true}', json);
    expect(await backend.ready?.('m', signal())).toBe(true);
    expect(last()?.url).toBe('/health/m');
    server.gives(200, '{"ready":false}', json);
    await expect(backend.ready?.('m', signal())).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { unsent: true },
    });
    expect(open('embed', posts(1)).ready).toBeUndefined();
  });

  it('sends the smallest call of its kind as a canary, or the pool’s', async () => {
    server.gives(200, '[]', json);
    await open('embed', api).probe('m', 'embed', signal());
    expect(sentJson()).toEqual({ text: 'ok' });
    await open('embed', { ...api, canary: { input: { text: 'a' } } }).probe('m', 'embed', signal());
    expect(sentJson()).toEqual({ text: 'a' });
    await open('transcribe', { ...api, health: { path: '/ping' } }).probe('m', 'transcribe', signal());
    expect(last()?.url).toBe('/ping');
  });

  it('has a fingerprint that changes with what the server says of its weights', async () => {
    const backend = open('embed', api);
    server.gives(200, '{"version":1}', json);
    const one = await backend.fingerprint('m', signal());
    expect(await backend.fingerprint('m', signal())).toBe(one);
    server.gives(200, '{"version":2}', json);
    expect(await backend.fingerprint('m', signal())).not.toBe(one);
  });
});
