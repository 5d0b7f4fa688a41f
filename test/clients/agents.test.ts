import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { venvOf } from '../../bench/venv.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { WorkerProcess } from '../support/worker-process.js';
import { scriptedModel } from './model.js';
import { pageOf, type Result } from './page.js';

/**
 * Clients of the field, unchanged, in pinned versions, ask pipelines through the doors of OpenAI, Anthropic and A2A. The model
 * behind is scripted: the embedded one is too small to call tools.
 */

const run = promisify(execFile);
const HERE = path.dirname(fileURLToPath(import.meta.url));
const CLIENTS_MS = 240_000;
const PAGE = path.resolve('docs/reference/agent-clients.md');

const PACKAGES = [
  'anthropic==2.14.0',
  'langchain==1.5.2',
  'langchain-openai==1.7.4',
  'langgraph==1.2.24',
  'openai==3.57.0',
  'openai-agents==0.24.0',
  'pydantic-ai-slim[anthropic,openai]==2.68.0',
];

const LITELLM = ['litellm==1.110.2'];
const LLAMAINDEX = ['llama-index-core==0.14.25', 'llama-index-llms-openai-like==0.8.1'];

/** What each case must end with. */
const EXPECTED: Readonly<Record<string, unknown>> = {
  text: expect.stringContaining('You said: hello'),
  stream: expect.stringContaining('You said: hello'),
  tools: expect.stringContaining('Results: Paris 21 | Rome 21'),
  'tools, streamed': expect.stringContaining('Results: Paris 21 | Rome 21'),
  structured: { a: 1 },
  image: expect.stringMatching(/An image of \d+ characters\./),
  'second turn': expect.stringContaining('You said: again'),
  agent: expect.stringContaining('Results: Paris 21 | Rome 21'),
  'one tool': expect.stringContaining('Results: Paris 21'),
  'agent, streamed': expect.stringContaining('Results: Paris 21 | Rome 21'),
  conversation: expect.stringContaining('You said: again'),
  background: expect.stringContaining('Results: Paris 21 | Rome 21'),
  'another process': expect.stringContaining('Results: Paris 21 | Rome 21'),
  'connection lost': expect.stringMatching(/Results: (Paris 21 \| Rome 21|paid 7)/),
  approval: expect.stringContaining('Results: paid 7'),
};

let model: Awaited<ReturnType<typeof scriptedModel>>;
let gateway: GatewayProcess;
let worker: WorkerProcess;
let folder: string;
const results: Result[] = [];
/** Programs that gave results. */
let answered = 0;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-clients-'));
  model = await scriptedModel();
  const models = path.join(folder, 'models.json');
  const pool = {
    connector: 'openai',
    kind: 'chat',
    model: 'scripted',
    endpoints: [{ url: model.url, device: 'cpu0' }],
  };
  writeFileSync(models, JSON.stringify({ scripted: pool }));
  const queue = `clients-${randomUUID()}`;
  const settings = {
    MILLRACE_PIPELINES: path.join(HERE, 'pipelines.mjs'),
    MILLRACE_TASK_QUEUE: queue,
    MILLRACE_MODELS: models,
  };
  [gateway, worker] = await Promise.all([GatewayProcess.start(settings), WorkerProcess.start(queue, settings)]);
});
afterAll(async () => {
  await Promise.all([gateway?.stop(), worker?.kill('SIGTERM')]);
  model?.close();
  rmSync(folder, { recursive: true, force: true });
  if (process.env.MILLRACE_WRITE_CLIENTS !== '1') return;
  // Without a program's results its clients would vanish from the page.
  if (answered === PROGRAMS.length) writeFileSync(PAGE, pageOf(results));
  else
    process.stderr.write(`${PAGE} is left as it is: ${PROGRAMS.length - answered} of the programs gave no results\n`);
});

const INSTALLED = path.resolve('.millrace/clients/node');

/** A program of the clients for Node, which are installed once below `.millrace/clients/`. */
async function nodeClients(program: string): Promise<string> {
  const installed = INSTALLED;
  const wanted = readFileSync(path.join(HERE, 'node/package.json'), 'utf8');
  const marker = path.join(installed, 'installed.json');
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== wanted) {
    rmSync(installed, { recursive: true, force: true });
    cpSync(path.join(HERE, 'node'), installed, { recursive: true });
    await run('npm', ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund'], {
      cwd: installed,
    });
    writeFileSync(marker, wanted);
  }
  cpSync(path.join(HERE, 'node'), installed, { recursive: true });
  return path.join(installed, program);
}

/** A wrong answer counts as a failure, also on the page. */
function judged(result: Result): Result {
  const { said, failure, name } = result;
  const isWrong = failure === undefined && !equal(said, EXPECTED[name]);
  return isWrong ? { ...result, failure: `answered ${JSON.stringify(said)}` } : result;
}

function equal(said: unknown, wanted: unknown): boolean {
  try {
    expect(said).toEqual(wanted);
    return true;
  } catch {
    return false;
  }
}

async function resultsOf(program: string, script: string): Promise<Result[]> {
  const { stdout } = await run(program, [script, gateway.url], { timeout: CLIENTS_MS, maxBuffer: 2 ** 24 });
  const found = stdout.split('\n').filter((line) => line.startsWith('{'));
  return found.map((line) => JSON.parse(line) as Result);
}

const pythonOf = async (name: string, packages: readonly string[]) =>
  path.join(await venvOf(name, packages), 'bin/python');

/** Programs, and how many cases each must try for each client, so that none is left out unseen. */
const PROGRAMS = [
  [
    'Node',
    {
      ...{ 'ai chat': 9, 'ai responses': 9, 'ai messages': 9, '@ai-sdk/openai-compatible chat': 9 },
      ...{ '@openai/agents chat': 9, '@openai/agents responses': 9, '@mastra/core chat': 9 },
      ...{ '@langchain/openai chat': 9, '@langchain/openai responses': 9, 'openai responses': 14 },
      ...{ '@anthropic-ai/sdk messages': 8, '@a2a-js/sdk a2a': 9, 'mcp-remote mcp': 1 },
      ...{ '@modelcontextprotocol/inspector mcp': 1 },
    },
    async () => resultsOf(process.execPath, await nodeClients('clients.mjs')),
  ],
  [
    'A2A 0.3 for Node',
    { '@a2a-js/sdk a2a': 9 },
    async () => resultsOf(process.execPath, await nodeClients('a2a-0-3.mjs')),
  ],
  [
    'Python',
    {
      ...{ 'openai-agents chat': 9, 'openai-agents responses': 9, 'openai responses': 12 },
      ...{ 'pydantic-ai-slim chat': 9, 'pydantic-ai-slim responses': 9, 'pydantic-ai-slim messages': 9 },
      ...{ 'langgraph chat': 9, 'langgraph responses': 9, 'anthropic messages': 8 },
    },
    async () => resultsOf(await pythonOf('clients', PACKAGES), path.join(HERE, 'python/clients.py')),
  ],
  [
    'LiteLLM',
    { 'litellm chat': 8, 'litellm messages': 8 },
    async () => resultsOf(await pythonOf('litellm', LITELLM), path.join(HERE, 'python/litellm_clients.py')),
  ],
  [
    'LlamaIndex',
    { 'llama-index-llms-openai-like chat': 9 },
    async () => resultsOf(await pythonOf('llamaindex', LLAMAINDEX), path.join(HERE, 'python/llamaindex_clients.py')),
  ],
  [
    'A2A',
    { 'a2a-sdk a2a': 9 },
    async () => resultsOf(await pythonOf('a2a', ['a2a-sdk==1.3.0']), path.join(HERE, 'python/a2a_clients.py')),
  ],
  [
    'A2A 0.3',
    { 'a2a-sdk a2a': 9 },
    async () => resultsOf(await pythonOf('a2a-0-3', ['a2a-sdk==0.3.26']), path.join(HERE, 'python/a2a_0_3_clients.py')),
  ],
] as const;

test.each(PROGRAMS)('clients for %s work', async (_, cases, ask) => {
  const found = await ask();
  const clients = found.map(({ client, door }) => `${client.replace(/ \S+$/, '')} ${door}`);
  expect(
    Object.fromEntries([...new Set(clients)].map((one) => [one, clients.filter((it) => it === one).length])),
  ).toEqual(cases);
  results.push(...found.map(judged));
  answered += 1;
  const wanted = found.map(({ client, door, name }) => ({ client, door, name, said: EXPECTED[name] }));
  expect(found).toEqual(wanted);
});

/** The programs of the pages for frameworks, as a reader would copy them. */
const GUIDES = 'docs/guides/frameworks';
const BLOCK = /^```(js|python)\n(?:\/\/|#) (\S+)\n([\s\S]*?)^```$/gm;
const VENVS: Readonly<Record<string, readonly [name: string, packages: readonly string[]]>> = {
  'litellm.md': ['litellm', LITELLM],
  'llamaindex.md': ['llamaindex', LLAMAINDEX],
};
const guides = readdirSync(GUIDES).flatMap((page) =>
  [...readFileSync(path.join(GUIDES, page), 'utf8').matchAll(BLOCK)].map(
    ([, language = '', file = '', code = '']) => [page, file, language, code] as const,
  ),
);

test('every page for a framework has a program', () => {
  const pages = new Set(guides.map(([page]) => page));
  expect([...pages].sort()).toEqual(readdirSync(GUIDES).sort());
});

test.each(guides)('%s: %s prints the answer', async (page, file, language, code) => {
  let program = process.execPath;
  let script = path.join(folder, file);
  if (language === 'js') {
    await nodeClients('clients.mjs');
    // Beside the installed packages, where Node finds them.
    script = path.join(INSTALLED, `guide-${file}`);
  } else {
    const [venv, packages] = VENVS[page] ?? ['clients', PACKAGES];
    program = await pythonOf(venv, packages);
  }
  writeFileSync(script, code);
  const env = { ...process.env, MILLRACE_GATEWAY_URL: gateway.url, MILLRACE_API_KEY: 'none' };
  const { stdout } = await run(program, [script], { env, timeout: CLIENTS_MS });
  // Mastra asks a pipeline without tools of its own.
  expect(stdout).toContain(page === 'mastra.md' ? 'You said: What is the weather in Paris?' : 'Results: Paris 21');
});
