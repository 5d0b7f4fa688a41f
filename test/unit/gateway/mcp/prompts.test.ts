import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { pipeline } from '../../../../pipelines/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

type Mcp = Parameters<typeof pipeline>[1]['mcp'];
const withMcp = (name: string, mcp: Mcp) =>
  pipeline(name, { input: z.object({ text: z.string() }), ...(mcp && { mcp }) }, ({ input }) => ({ text: input.text }));

const rules = { uri: 'docs://rules', name: 'rules', mime: 'text/markdown', content: '# Rules' };
const stamp = { uri: 'docs://stamp', name: 'stamp', mime: 'image/png', content: Uint8Array.of(1, 2, 3) };
const review = withMcp('review', {
  documents: [rules, stamp],
  prompts: [
    {
      name: 'review',
      description: 'Reviews a text',
      arguments: { text: { description: 'What to review' }, tone: { required: false } },
      text: 'Review “{text}” {tone}.',
      documents: ['docs://rules', 'docs://stamp'],
    },
  ],
});
const secret = withMcp('secret', {
  documents: [{ uri: 'docs://secret', name: 'secret', mime: 'text/plain', content: 'of others' }],
  prompts: [
    { name: 'review', description: 'Of the second', text: 'The second.' },
    { name: 'secret', description: 'Secret', text: 'Secret.' },
  ],
});
const plain = withMcp('plain', undefined);

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

async function start(
  pipelines: readonly unknown[],
  of?: Pick<Parameters<typeof issueKey>[0], 'permissions' | 'pipelines'>,
) {
  const issued = of && issueKey({ tenant: 'acme', name: 'agent', ...of });
  const authenticator =
    issued && new Authenticator({ by: 'key', keys: keyRing([issued.key]) }, pino({ level: 'silent' }));
  gateway = await testGateway({}, { pipelines: pipelines as never, ...(authenticator && { authenticator }) });
  const { app } = gateway;
  return async (method: string, params: object = {}) => {
    const { payload } = await app.inject({
      method: 'POST',
      url: '/mcp',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(issued && { authorization: `Bearer ${issued.secret}` }),
      },
      payload: { jsonrpc: '2.0', id: 1, method, params },
    });
    const [data = ''] = /(?<=^data: )\{.*\}$/m.exec(payload) ?? [];
    return JSON.parse(data) as { result: Record<string, never>; error?: { code: number; message: string } };
  };
}

/** A request of version 2026-07-28 to the gateway that was started. */
async function modern(method: string, params: { name: string } & object, capabilities: object = { elicitation: {} }) {
  const response = await gateway?.app.inject({
    method: 'POST',
    url: '/mcp',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      'mcp-name': params.name,
    },
    payload: {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    },
  });
  const { payload = '' } = response ?? {};
  const [data = payload] = /(?<=^data: )\{.*\}$/m.exec(payload) ?? [];
  return JSON.parse(data) as { result?: Record<string, unknown>; error?: { code: number; message: string } };
}
const initialize = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };

describe('prompts and documents that pipelines declare', () => {
  it('are listed and read', async () => {
    const ask = await start([review]);
    expect((await ask('initialize', initialize)).result).toMatchObject({
      capabilities: { prompts: {}, resources: {} },
    });
    expect((await ask('prompts/list')).result.prompts).toEqual([
      {
        name: 'review',
        description: 'Reviews a text',
        arguments: [
          { name: 'text', description: 'What to review', required: true },
          { name: 'tone', required: false },
        ],
      },
    ]);
    expect((await ask('resources/list')).result.resources).toEqual([
      { uri: 'docs://rules', name: 'rules', mimeType: 'text/markdown', size: 7 },
      { uri: 'docs://stamp', name: 'stamp', mimeType: 'image/png', size: 3 },
    ]);
    const read = async (uri: string) => (await ask('resources/read', { uri })).result.contents;
    expect(await read('docs://rules')).toEqual([{ uri: 'docs://rules', mimeType: 'text/markdown', text: '# Rules' }]);
    expect(await read('docs://stamp')).toEqual([{ uri: 'docs://stamp', mimeType: 'image/png', blob: 'AQID' }]);
    expect((await ask('resources/read', { uri: 'docs://others' })).error).toMatchObject({ code: -32602 });
  });

  it('are found however a client spells their uri, and listed as the author does', async () => {
    const page = { uri: 'https://Example.com', name: 'page', mime: 'text/plain', content: 'a page' };
    const ask = await start([withMcp('page', { documents: [page] })]);
    expect((await ask('resources/list')).result.resources).toMatchObject([{ uri: page.uri }]);
    for (const uri of [page.uri, 'https://example.com/', 'HTTPS://example.com:443'])
      expect((await ask('resources/read', { uri })).result.contents).toMatchObject([{ text: 'a page' }]);
    expect((await ask('resources/read', { uri: 'https://example.com/other' })).error).toMatchObject({ code: -32602 });
  });

  it('are messages with the arguments, whose braces are no others', async () => {
    const ask = await start([review]);
    const { result } = await ask('prompts/get', { name: 'review', arguments: { text: '{tone} $1' } });
    expect(result.messages).toEqual([
      { role: 'user', content: { type: 'resource', resource: expect.objectContaining({ text: '# Rules' }) } },
      { role: 'user', content: { type: 'image', data: 'AQID', mimeType: 'image/png' } },
      { role: 'user', content: { type: 'text', text: 'Review “{tone} $1” .' } },
    ]);
    const wrong = async (params: object) => (await ask('prompts/get', params)).error;
    expect(await wrong({ name: 'review' })).toMatchObject({
      code: -32602,
      message: expect.stringMatching(/needs text$/),
    });
    expect(await wrong({ name: 'toString' })).toMatchObject({ code: -32602 });
  });

  it('ask for the arguments that they need, where the client can show forms', async () => {
    await start([review]);
    const get = (params: object, capabilities?: object) =>
      modern('prompts/get', { name: 'review', ...params }, capabilities);
    const asked = {
      resultType: 'input_required',
      inputRequests: {
        fields: {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: 'The prompt review needs text',
            requestedSchema: {
              type: 'object',
              properties: { text: { type: 'string', description: 'What to review' } },
              required: ['text'],
            },
          },
        },
      },
    };
    expect((await get({})).result).toMatchObject(asked);
    const answers = (action: string, content?: object) => ({ inputResponses: { fields: { action, content } } });
    expect((await get(answers('accept', { text: 7 }))).result).toMatchObject(asked);
    const { result } = await get({ arguments: { tone: 'kindly' }, ...answers('accept', { text: 'x' }) });
    const said = result?.messages as readonly object[] | undefined;
    expect(said?.at(-1)).toMatchObject({ content: { text: 'Review “x” kindly.' } });
    const needs = { code: -32602, message: expect.stringMatching(/needs text$/) };
    expect((await get(answers('decline'))).error).toMatchObject(needs);
    expect((await get({}, {})).error).toMatchObject(needs);
  });

  it('suggest what their arguments may be', async () => {
    const tone = { suggestions: ['warm', 'informal', 'Formal', 'curt'] };
    const prompt = { name: 'letter', description: 'L', arguments: { tone, to: {} }, text: '{tone} {to}' };
    const ask = await start([withMcp('letters', { prompts: [prompt] }), plain]);
    expect((await ask('initialize', initialize)).result).toMatchObject({ capabilities: { completions: {} } });
    const complete = (name: string, value: string, ref: object = { type: 'ref/prompt', name: 'letter' }) =>
      ask('completion/complete', { ref, argument: { name, value } });
    const suggests = (values: readonly string[]) => ({ completion: { values, total: values.length, hasMore: false } });
    expect((await complete('tone', '')).result).toMatchObject(suggests(tone.suggestions));
    expect((await complete('tone', 'FORM')).result).toMatchObject(suggests(['Formal', 'informal']));
    expect((await complete('tone', 'x')).result).toMatchObject(suggests([]));
    expect((await complete('to', '')).result).toMatchObject(suggests([]));
    const media = (uri: string) => ({ type: 'ref/resource', uri });
    expect((await complete('sha256', '0', media('artifact://default/{sha256}'))).result).toMatchObject(suggests([]));
    expect((await complete('from', '')).error).toMatchObject({ code: -32602 });
    expect((await complete('tone', '', { type: 'ref/prompt', name: 'other' })).error).toMatchObject({ code: -32602 });
    expect((await complete('id', '', media('docs://{id}'))).error).toMatchObject({ code: -32602 });
  });

  it('do not grow without bound with an argument that a text has many times', async () => {
    const text = '{a}'.repeat(1_000);
    const long = withMcp('long', { prompts: [{ name: 'long', description: 'Long', arguments: { a: {} }, text }] });
    const ask = await start([long]);
    const { error } = await ask('prompts/get', { name: 'long', arguments: { a: 'x'.repeat(2_000) } });
    expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('more than 1048576 characters') });
  });

  it('are those of the first pipeline that the caller may run', async () => {
    const namesOf = (list: readonly { name: string }[]) => list.map(({ name }) => name);
    const all = await start([review, secret]);
    expect(namesOf((await all('prompts/list')).result.prompts ?? [])).toEqual(['review', 'secret']);
    expect(
      JSON.stringify((await all('prompts/get', { name: 'review', arguments: { text: 'x' } })).result),
    ).not.toContain('The second.');
    await gateway?.close();
    const one = await start([review, secret], { permissions: ['read', 'run'], pipelines: ['secret'] });
    expect(namesOf((await one('resources/list')).result.resources ?? [])).toEqual(['secret']);
    expect((await one('resources/read', { uri: 'docs://rules' })).error).toMatchObject({ code: -32602 });
    expect(JSON.stringify((await one('prompts/get', { name: 'review' })).result)).toContain('The second.');
    await gateway?.close();
    const reader = await start([review, secret], { permissions: ['read'] });
    expect((await reader('prompts/list')).result.prompts).toEqual([]);
    expect((await reader('resources/read', { uri: 'docs://rules' })).error).toMatchObject({ code: -32602 });
  });

  it('are no capability of a gateway whose pipelines declare none', async () => {
    const ask = await start([plain]);
    const { capabilities } = (await ask('initialize', initialize)).result;
    expect(capabilities).not.toHaveProperty('prompts');
    expect(capabilities).not.toHaveProperty('completions');
    expect((await ask('resources/list')).result.resources).toEqual([]);
  });
});

describe('the option mcp', () => {
  const prompt = { name: 'p', description: 'P', text: 'P' };
  it.each([
    [/"mcp" must be an object/, []],
    [/"mcp.prompt" is not an option/, { prompt: [] }],
    [/"mcp.prompts" has "p" twice/, { prompts: [prompt, prompt] }],
    [
      /has "docs:\/\/a\/" twice/,
      {
        documents: [
          { ...rules, uri: 'docs://a/' },
          { ...rules, uri: 'DOCS://a/' },
        ],
      },
    ],
    [/"mcp.prompts.a b.name" must be/, { prompts: [{ ...prompt, name: 'a b' }] }],
    [
      /"mcp.prompts.p.arguments.to.suggestions" must be a list of texts/,
      { prompts: [{ ...prompt, arguments: { to: { suggestions: ['Ada', ''] } } }] },
    ],
    [
      /"mcp.prompts.p.arguments.to.suggestions" has more than 100 entries/,
      { prompts: [{ ...prompt, arguments: { to: { suggestions: Array.from({ length: 101 }, String) } } }] },
    ],
    [/names \{topic\}, which is not one of its arguments/, { prompts: [{ ...prompt, text: 'On {topic}' }] }],
    [/names "docs:\/\/x", which the pipeline lacks/, { prompts: [{ ...prompt, documents: ['docs://x'] }] }],
    [/"mcp.documents.rules.uri" must be a uri/, { documents: [{ ...rules, uri: 'rules' }] }],
    [/must not begin with artifact/, { documents: [{ ...rules, uri: 'artifact://default/00' }] }],
    [/must be a media type/, { documents: [{ ...rules, mime: 'markdown' }] }],
    [/must be a text or a Uint8Array/, { documents: [{ ...rules, content: 7 }] }],
    [/has more than 4194304 bytes/, { documents: [{ ...rules, content: 'é'.repeat(2_100_000) }] }],
  ])('is refused: %s', (message, mcp) => {
    expect(() => withMcp('wrong', mcp as Mcp)).toThrow(
      expect.objectContaining({ code: 'INVALID_PIPELINE', message: expect.stringMatching(message) }),
    );
  });

  it('does not change the plan', () => {
    expect(withMcp('same', { prompts: [prompt] }).plan).toEqual(withMcp('same', undefined).plan);
  });
});
