import { createHash, createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { easAuthorizer } from '../../../../../activities/connectors/http/credentials/pai-eas.js';
import type { Json } from '../../../../../pipelines/json.js';
import { connectorContract, invoke, noAudio } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking, callsOf } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { type Asked, chatDelta, fixture, type Told } from '../servers/fixture-server.js';

const TOKEN = 'NWMyN2UzNjBiZmI2YT';

/** A gateway that takes the token or a signature with it, in front of a service. */
function eas({ method, path, headers, bytes, json }: Asked): Told {
  const { authorization = '', date = '', 'content-type': type } = headers;
  const md5 = createHash('md5').update(bytes).digest('hex');
  const toSign = `${method}\n${md5}\n${type}\n${date}\n${path}`;
  const signature = `EAS ${createHmac('sha1', TOKEN).update(toSign).digest('base64')}`;
  const signed =
    authorization === signature && headers['content-md5'] === md5 && Math.abs(Date.parse(date) - Date.now()) < 60_000;
  if (authorization !== TOKEN && !signed) return { status: 401, text: `Unauthorized: ${authorization}` };
  const [, service, below = ''] = /^\/api\/predict\/([^/]+)(.*)$/.exec(path) ?? [];
  if (service !== 'model') return { status: 404, text: 'service not found' };
  if (below !== '') {
    return {
      headers: { 'content-type': 'text/event-stream' },
      parts: [chatDelta(`${json.model}:`), chatDelta(' Paris', 'stop')],
    };
  }
  const asks = json?.text ?? json?.texts?.[0];
  if (asks === 'slow') return { never: true };
  if (asks === 'bad') return { status: 400, text: 'text must not be bad' };
  if (json?.texts) return { json: json.texts.map(() => [3, 4]) };
  return { json: json?.data ?? { yes: 0.75, no: 0.25 } };
}

for (const [how, options] of [
  ['the token', {}],
  ['signatures', { credential: { sign: 'pai-eas' } }],
] as const) {
  describe(`pai-eas with ${how} (a fixture that checks them)`, async () => {
    const server = await fixture(eas);
    afterAll(() => server.close());
    connectorContract({
      connector: presetConnector('pai-eas', { ...options, values: { model: 'llm' } }),
      endpoint: server.url,
      key: TOKEN,
      deadEndpoint: `http://127.0.0.1:${await freePort()}`,
      refused: {},
      calls: callsOf(['chat', 'classify', 'embed', 'infer'], { chat: { text: 'llm: Paris', finish: 'stop' } }),
      longCall: asking('slow'),
      badCall: asking('bad'),
    });

    it('another token is BACKEND_UNAUTHORIZED, and not in the message', async () => {
      const backend = presetConnector('pai-eas', options).connect(server.url, 'another-token-of-eas');
      const error = await invoke(backend, asking('text')).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
      expect((error as Error).message).not.toContain('another-token-of-eas');
    });
  });
}

describe('pai-eas-queue (a fixture of its queues)', async () => {
  /** Results by the identifier of their call; `slow` never has one. */
  const sink = new Map<string, unknown>();
  const deleted: string[] = [];
  let calls = 0;
  const queues = ({ method, path, query, headers, json }: Asked): Told => {
    if (headers.authorization !== TOKEN) return { status: 401, text: 'Unauthorized' };
    if (path === '/api/predict/model/sink') {
      const id = query.get('requestId') ?? '';
      if (!sink.has(id)) return { status: 204 };
      const result = sink.get(id);
      if (query.get('_auto_delete_') === 'true') sink.delete(id);
      return { json: result };
    }
    if (path !== '/api/predict/model') return { status: 404, text: 'service not found' };
    if (method === 'DELETE') {
      deleted.push(query.get('_indexes_') ?? '');
      return { text: 'OK' };
    }
    const asks = json?.text ?? json?.texts?.[0];
    if (asks === 'bad') return { status: 400, text: 'text must not be bad' };
    const id = `request-${++calls}`;
    if (asks !== 'slow') {
      const result = json?.texts ? json.texts.map(() => [3, 4]) : (json?.data ?? { yes: 0.75, no: 0.25 });
      setTimeout(() => sink.set(id, result), 30);
    }
    return { headers: { 'x-eas-queueservice-request-id': id }, text: String(1_000 + calls) };
  };
  const server = await fixture(queues);
  afterAll(() => server.close());
  const connector = presetConnector('pai-eas-queue', { values: { priority: 1 } });
  connectorContract({
    connector,
    endpoint: server.url,
    key: TOKEN,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    // A canary would be work that nobody fetches, so it asks the server alone; the call is below.
    unknownModel: null,
    calls: callsOf(['classify', 'embed', 'infer']),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  it('takes its results out of the queue, and a cancelled call out of the other one', async () => {
    const backend = connector.connect(server.url, TOKEN);
    await invoke(backend, asking('text'));
    await vi.waitFor(() => expect(sink.size).toBe(0), { timeout: 30_000 });
    const controller = new AbortController();
    const call = backend.invoke(asking('slow'), {
      signal: controller.signal,
      audio: noAudio,
      checkpoint: () => undefined,
      emit: () => undefined,
    });
    const asked = () => server.asked.filter(({ path }) => path.endsWith('/sink')).length;
    const before = asked();
    while (asked() === before) await sleep(10);
    const index = String(1_000 + calls);
    controller.abort(new Error('the run was cancelled'));
    await expect(call).rejects.toThrow('the run was cancelled');
    while (!deleted.includes(index)) await sleep(10);
    expect(server.asked.find(({ query }) => query.has('_priority_'))?.query.get('_priority_')).toBe('1');
  });

  it('leaves a result in the queue until it is recorded: another attempt has it if the worker is lost before', async () => {
    const backend = connector.connect(server.url, TOKEN);
    const kept: Json[] = [];
    const afterwards: (() => void)[] = [];
    const attempt = () =>
      backend.invoke(asking('text'), {
        signal: AbortSignal.timeout(110_000),
        audio: noAudio,
        checkpoint: (progress) => void kept.push(progress),
        emit: () => undefined,
        whenKept: (work) => void afterwards.push(work),
        ...(kept.length > 0 && { resumeFrom: kept.at(-1) as Json }),
      });
    const first = await attempt();
    const [id, begun] = [`request-${calls}`, calls];
    expect(sink.has(id)).toBe(true);
    expect(await attempt()).toEqual(first);
    expect(calls).toBe(begun);
    afterwards.at(-1)?.();
    await vi.waitFor(() => expect(sink.has(id)).toBe(false), { timeout: 30_000 });
  });

  it('a service that is not there is MODEL_NOT_FOUND', async () => {
    const backend = connector.connect(server.url, TOKEN);
    await expect(invoke(backend, asking('text', 'nope'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

describe('signatures of PAI-EAS', () => {
  it('are those of the vendor’s Python client', async () => {
    const by = easAuthorizer(TOKEN, () => Date.UTC(2026, 10, 26, 12));
    const request = {
      method: 'POST',
      url: new URL('http://1234.cn-shanghai.pai-eas.aliyuncs.com/api/predict/echo'),
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"text":"Grüße"}'),
    };
    expect(await by.headers(request, new AbortController().signal)).toEqual({
      'content-md5': 'f2d4cccefa3a56df165d6d776722b345',
      'content-type': 'application/json',
      date: 'Thu, 26 Nov 2026 12:00:00 GMT',
      authorization: 'EAS MJ2V7/8o1/AoxD/1og3FUWKcvNA=',
    });
  });
});
