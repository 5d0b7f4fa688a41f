import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { mcpKinds, parseMcpServers, serversWhenUsed } from '../../../../activities/mcp/index.js';
import type { McpCalls } from '../../../../activities/mcp/servers-when-used.js';
import { agent, mcpTools, type Pipeline, pipeline, tool } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunContext, StageCall } from '../../../../pipelines/run/index.js';
import { place } from '../../../../placement/place.js';
import { runInProcess } from '../../../../workers/hosts/in-process-host.js';
import { poolOf } from '../../../support/runs.js';
import { runScript, type Said, scripted } from '../../../support/scripted-model.js';

const SERVER = 'test/fixtures/mcp-server.mjs';
const stdio = { command: process.execPath, args: [SERVER], env: { TOKEN: 't0ken' } };
const never = () => new AbortController().signal;
const call = {
  get signal() {
    return never();
  },
  idempotencyKey: 'run/answer/turn-1/add',
};

let url = '';
const remote = spawn(process.execPath, [SERVER, '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
beforeAll(async () => {
  const [line] = (await once(remote.stdout, 'data')) as [Buffer];
  url = `http://127.0.0.1:${line.toString().trim()}/mcp`;
});
afterAll(() => {
  remote.kill();
});

const opened: McpCalls[] = [];
function servers(config: object): McpCalls {
  const made = serversWhenUsed(parseMcpServers(config, 'the test'));
  opened.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

describe('tools that a foreign server offers', () => {
  const from = (kind: string) =>
    servers({ s: { command: process.execPath, args: ['test/fixtures/mcp-odd-server.mjs', kind] } });

  it.each([
    ['backtracks', /"odd" has an unsupported schema: #\/properties\/a\/pattern refers back/],
    ['many', /an agent accepts at most 128 tools of a server; this one has at least 200/],
    ['endless', /at most 128 tools/],
    ['wordy', /"odd" has a description of more than 16384 characters/],
  ])('are refused: %s', async (kind, message) => {
    await expect(from(kind).list('s', never())).rejects.toMatchObject({
      code: 'TOOLS_REFUSED',
      message: expect.stringMatching(message),
    });
  });

  it('are refused where there is no end of those that are not wanted', async () => {
    await expect(from('endless').list('s', never(), ['plain'])).rejects.toMatchObject({
      code: 'TOOLS_REFUSED',
      message: expect.stringContaining('more than 2000 tools'),
    });
  });

  it.each(['backtracks', 'many', 'wordy'])('are taken where those that are not wanted are odd: %s', async (kind) => {
    expect(await from(kind).list('s', never(), ['plain'])).toEqual([
      { name: 'plain', description: 'Plain', schema: { type: 'object' } },
    ]);
  });
});

describe.each([
  ['over stdio', () => stdio, { token: 't0ken' }],
  ['over HTTP', () => ({ url, headers: { authorization: 'Bearer t0ken' } }), { token: 'Bearer t0ken' }],
] as const)('an MCP server %s', (_, config, secret) => {
  it('lists its tools', async () => {
    const tools = await servers({ s: config() }).list('s', never());
    expect(tools.map(({ name }) => name)).toEqual(['add', 'notes/find', 'fails', 'picture', 'about', 'slow', 'dies']);
    expect(tools[0]).toMatchObject({
      description: 'Adds two numbers',
      schema: { type: 'object', properties: { a: { type: 'number' } }, required: ['a', 'b'] },
    });
  });

  it('gives a tool’s structured result, else its text', async () => {
    const own = servers({ s: config() });
    expect(await own.call('s', 'add', { a: 1, b: 2 }, call)).toBe('3');
    expect(await own.call('s', 'notes/find', { word: 'mill' }, call)).toEqual({ notes: ['mill 1', 'mill 2'] });
    expect(await own.call('s', 'picture', {}, call)).toBe('a mill\n[image image/png]');
  });

  it('gets what stands in the file, the key of the call, and nothing else of the worker’s environment', async () => {
    process.env.SECRET = 'of the worker';
    const about = JSON.parse(String(await servers({ s: config() }).call('s', 'about', {}, call))) as JsonObject;
    expect(about).toMatchObject({ meta: { 'millrace/idempotencyKey': 'run/answer/turn-1/add' }, ...secret });
    if (config() === stdio) expect(about.home).toBeUndefined();
  });

  it('is asked nothing once another worker may have made the call', async () => {
    const own = servers({ s: config() });
    const mayBegin = () => Promise.reject(new Error('the attempt is over'));
    // A server that had been called would have given its own failure.
    await expect(own.call('s', 'fails', {}, { ...call, mayBegin })).rejects.toThrow('the attempt is over');
  });

  it('says that a tool has failed', async () => {
    const own = servers({ s: config() });
    await expect(own.call('s', 'fails', {}, call)).rejects.toMatchObject({ code: 'TOOL_FAILED', message: 'no luck' });
    await expect(own.call('s', 'nothing', {}, call)).rejects.toMatchObject({
      code: expect.stringMatching(/TOOL_FAILED|INVALID_INPUT/),
    });
  });

  it('leaves a call that is given up', async () => {
    const gone = new AbortController();
    const slow = servers({ s: config() }).call('s', 'slow', {}, { ...call, signal: gone.signal });
    setTimeout(() => gone.abort(new Error('enough')), 300);
    await expect(slow).rejects.toThrow('enough');
  });
});

describe('connections', () => {
  it('are kept, and opened again after the server has died', async () => {
    const own = servers({ s: stdio });
    expect(await own.call('s', 'add', { a: 1, b: 1 }, call)).toBe('2');
    await expect(own.call('s', 'dies', {}, call)).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
    expect(await own.call('s', 'add', { a: 1, b: 1 }, call)).toBe('2');
  });

  it('are closed with the worker', async () => {
    const own = servers({ s: stdio });
    const slow = own.call('s', 'slow', {}, call).catch((error: unknown) => error);
    await own.list('s', never());
    await own.close();
    expect(await slow).toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
    await expect(own.list('s', never())).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
  });

  it('are not opened after the worker has closed them, though it had none', async () => {
    const own = servers({ s: stdio });
    await own.close();
    await expect(own.call('s', 'add', { a: 1, b: 1 }, call)).rejects.toMatchObject({
      code: 'TOOL_SERVER_UNAVAILABLE',
      message: 'the worker is shutting down',
    });
  });

  it.each([
    ['that cannot be started', { command: '/no/such/program' }],
    ['that end at once', { command: process.execPath, args: ['-e', '0'] }],
    ['that nobody listens at', { url: 'http://127.0.0.1:9/mcp' }],
  ])('to servers %s are TOOL_SERVER_UNAVAILABLE', async (_, config) => {
    await expect(servers({ s: config }).list('s', never())).rejects.toMatchObject({ code: 'TOOL_SERVER_UNAVAILABLE' });
  });

  it('to servers that nobody has configured are refused', async () => {
    await expect(servers({ files: stdio }).list('s', never())).rejects.toMatchObject({
      code: 'TOOL_SERVER_NOT_CONFIGURED',
      message: 'no MCP server "s" (configured: files)',
    });
  });

  it.each([
    ['a list', []],
    ['a server of nothing', { s: {} }],
    ['a server of both kinds', { s: { command: 'x', url: 'http://localhost' } }],
    ['an address that is none', { s: { url: 'localhost' } }],
    ['a name with spaces', { 'a b': { command: 'x' } }],
  ])('are refused with %s', (_, config) => {
    expect(() => parseMcpServers(config, 'file.json')).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  });
});

describe('an agent with tools of an MCP server', () => {
  const local = tool({ name: 'add', description: 'Adds', input: z.object({}), run: () => 'mine' });
  const made = (name: string, options: Parameters<typeof mcpTools>[0], turns: readonly Said[]) => {
    const script = ({ messages }: { messages: readonly { role: string }[] }): Said =>
      turns[messages.filter(({ role }) => role === 'assistant').length] ?? { text: 'the end' };
    const use = agent({ model: scripted(name, script), tools: [local, mcpTools(options)] });
    return pipeline(name, { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
      const { text, toolCalls } = stage('answer', use, { prompt: input.q });
      return { text, toolCalls };
    }) as unknown as Pipeline;
  };
  async function run(made: Pipeline) {
    const kinds = new Map(mcpKinds(servers({ notes: stdio })));
    const requests: string[] = [];
    const runner = {
      async run(input: JsonObject, request: StageCall, { signal, attempt }: { signal: AbortSignal; attempt: number }) {
        const { model, with: own, tenant, kind, path = '' } = request;
        requests.push(path);
        const worker = kinds.get(kind);
        const context = { signal, audio: {} as never, idempotencyKey: path };
        const ended = worker
          ? { output: await worker({ model, with: own, input, tenant }, context) }
          : await runScript(request, input);
        return { ...ended, endpoint: '', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      },
    };
    const placement = place(made.plan, () => poolOf('assistant'), 'test');
    const context: RunContext = { plan: made.plan, tenant: 'default', placement };
    const { output } = await runInProcess({ q: '?' }, context, { runner, run: 'r' });
    return { output, requests };
  }

  it('asks for them once, and calls them by the server’s names', async () => {
    const turns = [
      {
        calls: [
          ['n_notes_find', { word: 'mill' }],
          ['n_fails', {}],
        ],
      },
      { calls: [['n_notes_find', { wrod: 'mill' }]] },
      { text: 'Found.' },
    ] as const;
    const { output, requests } = await run(made('mcp-notes', { server: 'notes', prefix: 'n_' }, turns));
    expect(output).toMatchObject({
      text: 'Found.',
      toolCalls: [
        { name: 'n_notes_find', end: 'done', result: { notes: ['mill 1', 'mill 2'] } },
        { name: 'n_fails', end: 'failed', code: 'TOOL_FAILED', message: 'no luck' },
        { name: 'n_notes_find', end: 'wrong' },
      ],
    });
    expect(requests.filter((path) => path.includes('tools'))).toEqual(['answer/tools/notes']);
  });

  it('fails when two tools have one name, and when the server lacks one that is named', async () => {
    await expect(run(made('mcp-twice', { server: 'notes' }, []))).rejects.toMatchObject({
      code: 'INVALID_PIPELINE',
      message: expect.stringContaining('"add"'),
    });
    await expect(run(made('mcp-lacks', { server: 'notes', only: ['subtract'] }, []))).rejects.toMatchObject({
      message: 'stage "answer": the MCP server "notes" has no tool "subtract"',
    });
  });
});
