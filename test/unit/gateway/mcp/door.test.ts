import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { serverEvents } from '../../../../client/sse.js';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { eventId } from '../../../../gateway/mcp/place.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { isBehind, START } from '../../../../stores/events/index.js';
import { grpcError } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const logger = pino({ level: 'silent' });

async function start(...options: Parameters<typeof testGateway>) {
  gateway = await testGateway(...options);
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  return { ...gateway, url: `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}/mcp` };
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { ...HEADERS, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** The message that answers a request. */
async function ask(url: string, method: string, params: object = {}, headers: Record<string, string> = {}) {
  const response = await post(url, { jsonrpc: '2.0', id: 1, method, params }, headers);
  const [data = ''] = /(?<=^data: )\{.*\}$/m.exec(await response.text()) ?? [];
  return JSON.parse(data) as { id: number; result: Record<string, never> & CallToolResult; error?: { code: number } };
}

/** Reads the progress messages of a stream up to and including the last, each with the place behind it, and leaves. */
async function progressOf({ body }: Response, last: string): Promise<{ message: string; place: string }[]> {
  const found: { message: string; place: string }[] = [];
  let message = '';
  let before = '';
  for await (const { id, data } of serverEvents(body as ReadableStream<Uint8Array>)) {
    if (data !== '') {
      const { params } = JSON.parse(data) as { params: { progress: number; message: string } };
      message = `${params.progress} ${params.message}`;
    }
    // The place comes with its message, or in an event of its own behind it.
    if (id === before) continue;
    before = id;
    if (message !== '') found.push({ message, place: id });
    if (message.endsWith(last)) break;
  }
  return found;
}

const initialize = (protocolVersion: string) => ({
  protocolVersion,
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
});

describe('the MCP door', () => {
  it('negotiates the protocol’s version and gives a session', async () => {
    const { url } = await start();
    for (const [requested, given] of [
      ['2025-11-25', '2025-11-25'],
      ['2025-06-18', '2025-06-18'],
      ['2025-03-26', '2025-03-26'],
      ['1999-01-01', '2025-11-25'],
    ] as const) {
      const { result } = await ask(url, 'initialize', initialize(requested));
      expect(result).toMatchObject({
        protocolVersion: given,
        serverInfo: { name: 'millrace' },
        capabilities: { tools: {} },
      });
    }
    const response = await post(url, { jsonrpc: '2.0', id: 1, method: 'initialize', params: initialize('2025-11-25') });
    expect(response.headers.get('mcp-session-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('x-request-id')).toBeTruthy();
    await response.text();
    const later = await post(url, { jsonrpc: '2.0', id: 2, method: 'ping' }, { 'mcp-protocol-version': '1999-01-01' });
    expect(later.status).toBe(400);
  });

  it('links large media at the address that callers know, behind a proxy', async () => {
    const of = async (change: Parameters<typeof testGateway>[1]) => {
      const { url, temporal, close } = await start({}, change);
      const large = { uri: `artifact://default/${'a'.repeat(64)}`, sha256: 'a'.repeat(64), mime: 'audio/wav' };
      temporal.onStart = (run) => run.end({ output: { clip: { ...large, bytes: 2_000_000 } }, stages: [] });
      const forwarded = { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'https', forwarded: 'host=evil.test' };
      const { result } = await ask(url, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } }, forwarded);
      const [, link] = result.content as { uri: string }[];
      await close();
      gateway = undefined;
      return { link: link?.uri.replace(/greet-[^/]*/, 'R'), at: new URL(url).origin };
    };
    const direct = await of({});
    expect(direct.link).toBe(`${direct.at}/v1/runs/R/artifacts/clip`);
    const { link } = await of({ publicUrl: 'https://mill.test/api/' });
    expect(link).toBe('https://mill.test/api/v1/runs/R/artifacts/clip');
  });

  it('serves clients of HTTP/1.0 that name no host', async () => {
    const { url } = await start();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const head = Object.entries({ ...HEADERS, 'content-length': body.length }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(['POST /mcp HTTP/1.0', ...head, '', body].join('\r\n'));
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.[01] 200 /);
    expect(answer).toContain('"name":"greet"');
  });

  it('shows pipelines as tools, media as a model can give and read them', async () => {
    const { url } = await start();
    const { result } = await ask(url, 'tools/list');
    const tools = result.tools as unknown as { name: string }[];
    expect(tools.map(({ name }) => name)).toEqual(['listen', 'compare', 'greet']);
    const media = { type: 'object', properties: { base64: { type: 'string' }, uri: { type: 'string' } } };
    expect(tools[0]).toMatchObject({
      description: 'Says what it heard',
      inputSchema: {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        additionalProperties: false,
        required: ['speech'],
        properties: { speech: media, language: { type: 'string', default: 'en' } },
      },
      outputSchema: { type: 'object', properties: { heard: { required: ['uri', 'mime', 'bytes', 'href'] } } },
    });
    // The protocol wants a description of each.
    expect(tools[2]).toMatchObject({ description: 'Runs the pipeline greet' });
  });

  it('runs a tool: its result is structured, and text', async () => {
    const { url, temporal, lines } = await start();
    temporal.onStart = ({ end }) => end({ output: { name: 'Ada' }, stages: [] });
    const { result } = await ask(url, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } });
    const { type, options } = temporal.only();
    expect(type).toBe('greet');
    expect(options.args[0]).toEqual({ name: 'Ada' });
    expect(result).toEqual({
      content: [{ type: 'text', text: '{"name":"Ada"}' }],
      structuredContent: { name: 'Ada' },
      _meta: { 'millrace/run': options.workflowId },
    });
    expect(lines.at(-1)).toMatchObject({ path: '/mcp', status: 200, runId: options.workflowId, tenant: 'default' });
  });

  it('says in a result what the caller can mend, and as the protocol’s error what it cannot', async () => {
    const { url, temporal } = await start();
    const call = (params: object) => ask(url, 'tools/call', params);
    expect((await call({ name: 'greet', arguments: { name: 3 } })).result).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringMatching(/^INVALID_INPUT: name: /) }],
      _meta: { 'millrace/code': 'INVALID_INPUT', 'millrace/retry': false, 'millrace/fields': [{ field: 'name' }] },
    });
    expect((await call({ name: 'Greet' })).error).toMatchObject({ code: -32602 });
    temporal.outage = grpcError(14, 'away');
    expect((await call({ name: 'greet', arguments: { name: 'Ada' } })).result).toMatchObject({
      isError: true,
      _meta: { 'millrace/code': 'ORCHESTRATOR_UNAVAILABLE', 'millrace/retry': true },
    });
    temporal.outage = new Error('/secret/path');
    const { error } = await call({ name: 'greet', arguments: { name: 'Ada' } });
    expect(error).toMatchObject({ code: -32603 });
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('leaves a run alone when the gateway ends, and says where it is', async () => {
    const { url, app, temporal } = await start();
    const calling = ask(url, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } });
    await vi.waitFor(() => expect(temporal.runs.size).toBe(1), 15_000);
    await app.close();
    const { workflowId } = temporal.only().options;
    expect((await calling).result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining(`the run continues: /v1/runs/${workflowId}`) }],
      _meta: { 'millrace/code': 'GATEWAY_UNAVAILABLE' },
    });
    expect(temporal.only().status).toBe('RUNNING');
  });

  it('continues the stream of a call behind each of its messages, within the sentence that a model writes', async () => {
    const events = [
      { type: 'stage.started', path: 'a', kind: 'chat', attempt: 1, at: '' },
      { type: 'stage.delta', path: 'a', text: 'It is' },
      { type: 'stage.delta', path: 'a', text: ' five. Or six.' },
      { type: 'stage.finished', path: 'a' },
    ].map((event, i) => ({ id: `${i + 1}-0`, event: event as unknown as RunEvent, json: JSON.stringify(event) }));
    const follow: GatewayDeps['events']['follow'] = async function* (_run, after = START, signal) {
      for (const each of events) if (isBehind(each.id, after)) yield each;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    };
    const { url, temporal } = await start({}, { events: { follow } });
    const headers = { ...HEADERS, 'mcp-protocol-version': '2025-11-25' };
    const params = { name: 'greet', arguments: { name: 'Ada' }, _meta: { progressToken: 't' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const calling = fetch(url, { method: 'POST', headers, body });
    await vi.waitFor(() => expect(temporal.runs.size).toBe(1), 15_000);
    const all = await progressOf(await calling, 'finished');
    const { workflowId } = temporal.only().options;
    const told = [`run ${workflowId}`, 'a started', 'a: It is five.', 'a: Or six.', 'a finished'];
    expect(all.map(({ message }) => message)).toEqual(told.map((message, i) => `${i + 1} ${message}`));
    for (const [i, { place }] of all.slice(0, -1).entries()) {
      const again = await fetch(url, { headers: { ...headers, 'last-event-id': place } });
      const rest = await progressOf(again, 'finished');
      expect(rest.map(({ message }) => message)).toEqual(told.slice(i + 1).map((each, n) => `${i + n + 2} ${each}`));
    }
  });

  it('holds back what it tells a client that reads slowly, and ends without a result when it shuts down', async () => {
    const total = 400;
    let taken = 0;
    const follow: GatewayDeps['events']['follow'] = async function* (_run, _after, signal) {
      for (let n = 1; n <= total; n++) {
        taken = n;
        const event = { type: 'stage.started', path: 'a'.repeat(50_000), kind: 'code', attempt: n };
        yield { id: `${n}-0`, event: event as unknown as RunEvent, json: '' };
      }
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    };
    const { app, url, temporal } = await start({}, { events: { follow } });
    const headers = { 'content-type': 'application/json' };
    await fetch(new URL('/v1/pipelines/greet/runs', url), { method: 'POST', headers, body: '{"name": "Ada"}' });
    const place = eventId({ request: 1, token: 't', run: temporal.only().options.workflowId, progress: 1 });
    const request = get(url, { headers: { ...HEADERS, 'last-event-id': place } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    let before = -1;
    while (before !== taken) {
      before = taken;
      await sleep(200);
    }
    // 20 MB in all; the sockets of both sides take some.
    expect(taken).toBeLessThan(total / 2);
    let text = '';
    response.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    response.resume();
    await vi.waitFor(() => expect(text).toContain(`attempt ${total}`), 30_000);
    const closed = app.close();
    await once(response, 'end');
    await closed;
    expect(text.match(/"progressToken"/g)).toHaveLength(total);
    expect(text).not.toContain('"result"');
  });

  it('refuses to continue a stream for which there is no room, and tells no result', async () => {
    const { url, temporal } = await start({ maxStreamsOfTenant: 1 });
    const headers = { 'content-type': 'application/json' };
    await fetch(new URL('/v1/pipelines/greet/runs', url), { method: 'POST', headers, body: '{"name": "Ada"}' });
    const run = temporal.only().options.workflowId;
    const other = await fetch(new URL(`/v1/runs/${run}/events`, url));
    const place = eventId({ request: 1, token: 't', run, progress: 1 });
    const again = () => fetch(url, { headers: { ...HEADERS, 'last-event-id': place } });
    const refused = await again();
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { data: { code: 'TOO_MANY_STREAMS' } } },
    ]);
    await other.body?.cancel();
    const taken = await vi.waitFor(async () => {
      const response = await again();
      expect(response.status).toBe(200);
      return response;
    }, 15_000);
    await taken.body?.cancel();
  });

  it('answers what is no request of the protocol in the protocol’s form', async () => {
    const { url } = await start({ maxJsonBytes: 1_000 });
    const broken = await post(url, '{"jsonrpc":');
    expect([broken.status, await broken.json()]).toMatchObject([
      400,
      { jsonrpc: '2.0', id: null, error: { code: -32700, data: { code: 'INVALID_JSON' } } },
    ]);
    const large = await post(url, {
      jsonrpc: '2.0',
      id: 1,
      method: 'ping',
      params: { _meta: { x: 'x'.repeat(1_000) } },
    });
    expect([large.status, await large.json()]).toMatchObject([413, { error: { data: { code: 'BODY_TOO_LARGE' } } }]);
    const session = await post(url, { jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': 'x'.repeat(200) });
    expect([session.status, await session.json()]).toMatchObject([
      400,
      { error: { data: { code: 'INVALID_HEADER' } } },
    ]);
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(url, { method, headers: HEADERS });
      expect([response.status, response.headers.get('allow')]).toEqual([405, method === 'GET' ? 'POST' : 'POST, GET']);
    }
  });
});

describe('who may use the MCP door', () => {
  it('is no page of another site, with or without keys', async () => {
    const { secret, key } = issueKey({ tenant: 'acme', name: 'agent', permissions: ['read', 'run'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, logger);
    for (const change of [{}, { authenticator }]) {
      const { url } = await start({}, change);
      const from = async (origin: string) =>
        (await post(url, { jsonrpc: '2.0', id: 1, method: 'ping' }, { origin, authorization: `Bearer ${secret}` }))
          .status;
      expect(await from('https://evil.example')).toBe(403);
      expect(await from('null')).toBe(403);
      expect(await from('http://localhost:6274')).toBe(200);
      expect(await from(new URL(url).origin)).toBe(200);
      await gateway?.close();
      gateway = undefined;
    }
  });

  it('is who has a key, for its tenant, its pipelines and what it permits', async () => {
    const reader = issueKey({ tenant: 'acme', name: 'reader', permissions: ['read'], pipelines: ['greet'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([reader.key]) }, logger);
    const { url, temporal } = await start({}, { authenticator });
    const nobody = await post(url, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    expect([nobody.status, nobody.headers.get('www-authenticate'), await nobody.json()]).toMatchObject([
      401,
      expect.stringContaining('Bearer'),
      { jsonrpc: '2.0', error: { data: { code: 'UNAUTHENTICATED' } } },
    ]);
    const headers = { authorization: `Bearer ${reader.secret}` };
    const { result } = await ask(url, 'tools/list', {}, headers);
    expect(result.tools).toMatchObject([{ name: 'greet' }]);
    const refused = await ask(url, 'tools/call', { name: 'greet', arguments: { name: 'Ada' } }, headers);
    expect(refused.result).toMatchObject({ isError: true, _meta: { 'millrace/code': 'FORBIDDEN' } });
    expect((await ask(url, 'tools/call', { name: 'listen' }, headers)).error).toMatchObject({ code: -32602 });
    expect(temporal.runs.size).toBe(0);
  });

  it('is asked about a wait if it may decide it; for others the call waits', async () => {
    const wait = { type: 'stage.waiting', path: 'review', nonce: 'n1', subject: 'A-1', until: '2030-01-01T00:00:00Z' };
    const follow: GatewayDeps['events']['follow'] = async function* (_run, after = START, signal) {
      if (isBehind('1-0', after)) yield { id: '1-0', event: wait as unknown as RunEvent, json: '' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    };
    const name = 'greet';
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    };
    const params = { name, arguments: { name: 'Ada' }, _meta };
    for (const [more, expected] of [
      [['approve'], { resultType: 'input_required', inputRequests: { n1: { method: 'elicitation/create' } } }],
      [[], { structuredContent: { name: 'Ada' } }],
    ] as const) {
      const { secret, key } = issueKey({ tenant: 'acme', name: 'agent', permissions: ['read', 'run', ...more] });
      const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, logger);
      const { url, temporal } = await start({}, { authenticator, events: { follow } });
      // The call that is asked does not wait for the end.
      if (more.length === 0)
        temporal.onStart = ({ end }) => void setTimeout(() => end({ output: { name: 'Ada' }, stages: [] }), 500);
      const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name };
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
      const sent = await (await post(url, body, { ...headers, authorization: `Bearer ${secret}` })).text();
      const [data = sent] = /(?<=^data: )\{.*\}$/m.exec(sent) ?? [];
      expect(JSON.parse(data)).toMatchObject({ result: expected });
      await gateway?.close();
      gateway = undefined;
    }
  });
});
