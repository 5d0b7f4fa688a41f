import { describe, expect, it } from 'vitest';
import { a2aConnector } from '../../../../activities/connectors/a2a/index.js';
import type { CallContext, Link } from '../../../../activities/connectors/connector.js';
import { plainContext } from '../../../../activities/connectors/plain-context.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { describedHttp, json } from './described-http.js';

/** A name that nothing resolves: a request that arrives has gone to the endpoint's address. */
const NAME = 'models.example.test';

const { server, http, parsed } = describedHttp();
/** An address of the server by another host. */
const by = (host: string, path = '') => `${server.url.replace('127.0.0.1', host)}${path}`;

interface Asked {
  readonly kind?: string;
  readonly link?: Link;
  readonly endpoint?: string;
  readonly input?: JsonObject;
  readonly with?: JsonObject;
  readonly context?: Partial<CallContext>;
}

async function call(options: object, asked: Asked = {}) {
  const { kind = 'acme/any', link = { serverName: NAME }, endpoint = server.url, input = {}, context = {} } = asked;
  const backend = http.connect(endpoint, 'secret-key', parsed(kind, options), link);
  try {
    const whole = { ...plainContext(AbortSignal.timeout(110_000)), ...context };
    return await backend.invoke({ kind, model: 'm', with: asked.with ?? {}, input }, whole);
  } finally {
    backend.close();
  }
}

const hosts = () => server.received.map(({ url, headers }) => `${headers.host}${url}`);

const jobs = {
  request: { path: '/jobs', json: {} },
  job: {
    id: '$/headers/location',
    poll: { method: 'GET', url: '$/job' },
    everyMs: 10,
    done: { at: '/body/state', is: 'done' },
  },
  response: { output: { a: '$/body/answer' } },
};
/** A server that makes a job with this address. */
const makes = (location: () => string) => {
  server.answer = (response, { method }) =>
    void (method === 'POST'
      ? response.writeHead(202, { ...json, location: location() }).end('{}')
      : response.writeHead(200, json).end('{"state":"done","answer":42}'));
};

describe('the addresses of a server that is reached by its address under its name', () => {
  it('are its own: of a job', async () => {
    makes(() => by(NAME, '/jobs/1'));
    expect((await call(jobs)).output).toEqual({ a: 42 });
    expect(hosts()).toEqual([by(NAME, '/jobs'), by(NAME, '/jobs/1')].map((url) => url.replace('http://', '')));
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual(new Array(2).fill('Bearer secret-key'));
  });

  it('are its own: of a redirect, as frameworks have for a slash', async () => {
    server.answer = (response, { url }) =>
      void (url === '/x/'
        ? response.writeHead(200, json).end('{"a":1}')
        : response.writeHead(307, { location: by(NAME, '/x/') }).end());
    const options = { request: { path: '/x', json: {} }, response: { output: { a: '$/body/a' } } };
    expect((await call(options)).output).toEqual({ a: 1 });
    const stage = await call({}, { kind: 'http', with: { method: 'POST', path: '/x' } });
    expect(stage.output).toEqual({ status: 200, body: { a: 1 } });
    expect(server.received.map(({ url }) => url)).toEqual(['/x', '/x/', '/x', '/x/']);
  });

  it('are its own: of a file', async () => {
    const written: Buffer[] = [];
    const artifacts: NonNullable<CallContext['artifacts']> = {
      read: () => Promise.reject(new Error('nothing is read')),
      async write(data, { type }) {
        written.push(Buffer.from(data));
        return { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: type, bytes: data.length };
      },
    };
    const png = Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
      'base64',
    );
    server.answer = (response, { method }) =>
      void (method === 'POST'
        ? response.writeHead(200, json).end(JSON.stringify({ url: by(NAME, '/a.png') }))
        : response.end(png));
    const options = { request: { path: '/make', json: {} }, response: { output: { files: [{ url: '$/body/url' }] } } };
    await call(options, { kind: 'generate', with: { makes: 'image' }, input: { prompt: 'p' }, context: { artifacts } });
    expect(written).toEqual([png]);
    expect(server.received[1]?.headers.authorization).toBe('Bearer secret-key');
  });

  it('are its own: of an agent, by its card', async () => {
    const message = { message: { messageId: 'a', role: 'ROLE_AGENT', parts: [{ text: 'So.' }], contextId: 'c' } };
    server.answer = (response, { method }) => {
      const card = {
        name: 'a',
        capabilities: {},
        supportedInterfaces: [{ url: by(NAME, '/rpc'), protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
      };
      const body = method === 'GET' ? card : { jsonrpc: '2.0', id: 1, result: message };
      response.writeHead(200, json).end(JSON.stringify(body));
    };
    const connector = a2aConnector();
    const agent = connector.connect(server.url, 'k', connector.options?.('a2a').parse({}), { serverName: NAME });
    const context = plainContext(AbortSignal.timeout(110_000));
    const { output } = await agent.invoke({ kind: 'a2a', model: 'a', with: {}, input: { message: 'Why?' } }, context);
    agent.close();
    expect(output).toMatchObject({ state: 'completed', text: 'So.' });
  });

  it.each<[string, () => string, Asked]>([
    ['another name', () => by('other.example.test', '/jobs/1'), {}],
    ['another port', () => `http://${NAME}:1/jobs/1`, {}],
    ['another scheme', () => by(NAME, '/jobs/1').replace('http:', 'https:'), {}],
    ['a name that the pool does not give', () => by(NAME, '/jobs/1'), { link: {} }],
  ])('are not those of %s', async (_, location, asked) => {
    makes(location);
    await expect(call(jobs, asked)).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('another origin'),
    });
    expect(server.received).toHaveLength(1);
  });

  it('are not those of its name where the endpoint is a name: they would go to what that resolves to', async () => {
    makes(() => by(NAME, '/jobs/1'));
    const endpoint = by('localhost');
    await expect(call(jobs, { endpoint })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('another origin'),
    });
    expect(server.received).toHaveLength(1);
  });
});
