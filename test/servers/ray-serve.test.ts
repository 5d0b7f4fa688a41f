import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { ray } from './commands.js';
import { start } from './install.js';

describe('ray-serve', async () => {
  const server = await start('ray', ray('ray_service.py'));
  afterAll(() => server.stop());
  const at = (route: string, more: object = {}) => presetConnector('ray-serve', { values: { route, ...more } });
  const connector = at('anything');
  connectorContract({
    connector,
    endpoint: server.url,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    // The protocol has a route, and names no model.
    unknownModel: null,
    calls: callsOf(connector.kinds),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  it('hides what went wrong in an application', async () => {
    const backend = connector.connect(server.url);
    await expect(invoke(backend, asking('broken'))).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
  });

  it('a route that is not there is MODEL_NOT_FOUND', async () => {
    const backend = at('nope').connect(server.url);
    await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('names the multiplexed model of the pool', async () => {
    const scoresWith = async (more: object) =>
      (await invoke(at('anything', more).connect(server.url), asking('multiplexed'))).output.scores;
    expect(await scoresWith({ multiplexed: 'm7' })).toEqual({ yes: 1, no: 0 });
    expect(await scoresWith({})).toEqual({ yes: 0, no: 0 });
  });

  it('a call that finds no room in the queue of a deployment is BACKEND_OVERLOADED', async () => {
    const backend = at('full').connect(server.url);
    // One is answered, and another waits.
    const all = await Promise.allSettled(Array.from({ length: 6 }, () => invoke(backend, asking('slow'))));
    const codes = all.flatMap((each) => (each.status === 'rejected' ? [(each.reason as { code?: string }).code] : []));
    expect(codes.length).toBeGreaterThan(0);
    expect(new Set(codes)).toEqual(new Set(['BACKEND_OVERLOADED']));
  });

  it('a call that takes longer than the server allows is BACKEND_TIMEOUT', async () => {
    await expect(invoke(connector.connect(server.url), asking('endless'))).rejects.toMatchObject({
      code: 'BACKEND_TIMEOUT',
    });
  });

  it('a call whose replica dies is BACKEND_ERROR, and the next one waits for another replica', async () => {
    const backend = at('mortal').connect(server.url);
    await expect(invoke(backend, asking('die'))).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    expect((await invoke(backend, asking('text'))).output).toMatchObject({ label: 'yes' });
  });

  describe('an application of FastAPI, at a path of its own', () => {
    const backend = presetConnector('ray-serve', {
      request: { path: '/api/classify', json: { text: '$/input/text' } },
    }).connect(server.url);

    it('answers', async () => {
      expect((await invoke(backend, asking('text'))).output).toMatchObject({ label: 'yes', score: 0.75 });
    });

    it.each([
      ['what it does not take', 5, 'BACKEND_REJECTED', {}],
      ['what has gone wrong', 'broken', 'BACKEND_ERROR', {}],
      ['that it has too much to do', 'full', 'BACKEND_RATE_LIMITED', {}],
      ['that its model is loading', 'away', 'BACKEND_UNAVAILABLE', { unsent: true }],
    ])('says %s', async (_, text, code, details) => {
      await expect(invoke(backend, asking(text))).rejects.toMatchObject({ code, details });
    });
  });

  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'Ray Serve' });
  });
});
