import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createConnectors } from '../../activities/connectors/index.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { allSteps, isStage } from '../../pipelines/plan/index.js';
import { place } from '../../placement/place.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { a2aServer, type Does } from '../support/a2a-server.js';
import { acme } from '../support/acme/connector.js';
import { AcmeServer } from '../support/acme/server.js';
import { asModule, examples, SHAPES, valuesOf } from '../support/dsl-examples.js';
import { Painter } from '../support/painter.js';
import { address } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { TokenEmbedder } from '../support/token-embedder.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
const folder = mkdtempSync(path.join(ROOT, '.millrace', 'dsl-'));
const tenant = `dsl-${randomUUID()}`;

/** The embedded models, and the pools that only the page's examples have. */
async function withExamplePools(): Promise<string> {
  const url = address('LLM_BASE_URL');
  const settings = testSettings({ MILLRACE_PIPELINES: '', ...servers() });
  const models = {
    ...(await loadModels(settings)),
    'llm-api': { connector: 'http', kind: 'http', model: 'api', endpoints: [{ url, device: 'cpu0' }] },
    'minilm-tensors': {
      connector: 'triton',
      kind: 'infer',
      model: 'minilm',
      endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
    },
    'speech-finder': {
      connector: 'triton',
      kind: 'detect',
      model: 'whisper',
      endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
      options: {
        tensors: { inputs: { AUDIO: { from: 'audio', sampleRate: 16_000 } }, outputs: { TEXT: { to: 'texts' } } },
      },
    },
    painter: painter.pool,
    travel: {
      connector: 'a2a',
      kind: 'a2a',
      model: 'travel',
      endpoints: [{ url: travel.url, device: 'elsewhere' }],
    },
    embedder: embedder.pool,
    clip: embedder.media,
    words: {
      connector: 'acme',
      kind: 'acme/keywords',
      model: 'words',
      endpoints: [{ url: acmeServer.url, device: 'cpu0' }],
      apiKey: { file: keyFile },
    },
  };
  const file = path.join(folder, 'models.json');
  writeFileSync(file, JSON.stringify(models));
  return file;
}

const servers = () => ({
  REDIS_URL: address('REDIS_URL'),
  REDIS_INDEX_URL: address('REDIS_INDEX_URL'),
  REDIS_CACHE_URL: address('REDIS_CACHE_URL'),
  TRITON_URL: address('TRITON_URL'),
  LLM_BASE_URL: address('LLM_BASE_URL'),
});

/** The one remote agent that the page's examples have. */
const books: Does = async (task, wish) => {
  task.writes([{ text: `Booked: ${wish}` }]);
  task.says('COMPLETED');
};

/** The one MCP server that the page's examples have. */
function withMcpServer(): string {
  const file = path.join(folder, 'mcp-servers.json');
  const files = { command: process.execPath, args: [path.join(ROOT, 'test/fixtures/mcp-server.mjs')] };
  writeFileSync(file, JSON.stringify({ files }));
  return file;
}

const ALL = examples();
const opened: Stages[] = [];
let modelsFile = '';
const acmeServer = new AcmeServer();
const painter = new Painter();
let travel: Awaited<ReturnType<typeof a2aServer>>;
const embedder = new TokenEmbedder();
const keyFile = path.join(folder, 'acme-key');
const mcpServersFile = withMcpServer();

beforeAll(async () => {
  [travel] = await Promise.all([a2aServer(books), acmeServer.start(), painter.start(), embedder.start()]);
  writeFileSync(keyFile, AcmeServer.key);
  modelsFile = await withExamplePools();
});
afterAll(async () => {
  await Promise.all([travel.close(), acmeServer.stop(), painter.stop(), embedder.stop()]);
  for (const stages of opened) await stages.close();
  rmSync(folder, { recursive: true, force: true });
  for (const url of [address('REDIS_URL'), address('REDIS_INDEX_URL'), address('REDIS_CACHE_URL')]) {
    const redis = new Redis(url);
    const keys = await redis.keys(`millrace:*${tenant}*`);
    if (keys.length > 0) await redis.del(...keys);
    redis.disconnect();
  }
});

it.each(ALL.map((example, i) => [example.name, example, i] as const))(
  '%s, on the real servers',
  async (_, example, i) => {
    const module = path.join(folder, `example-${i}.ts`);
    writeFileSync(module, asModule(example));
    const settings = testSettings({
      MILLRACE_LOG_LEVEL: 'silent',
      MILLRACE_PIPELINES: module,
      MILLRACE_MODELS: modelsFile,
      MILLRACE_MCP_SERVERS: mcpServersFile,
      ...servers(),
    });
    const stages = await composeStages(settings, createLogger(settings, 'test'), [acme]);
    opened.push(stages);
    const [pipeline] = stages.pipelines;
    if (!pipeline) throw new Error('the block exports no pipeline');
    // Those of functions alone are run by the unit test.
    if ([...allSteps(pipeline.plan)].filter(isStage).every(({ kind }) => kind === 'code' || kind === 'approve')) return;
    const connectors = createConnectors({ outside: [acme] });
    const placement = place(pipeline.plan, poolDescriptions(await loadModels(settings), connectors), 'test');
    for (const { call, expected } of example.runs) {
      const [input] = valuesOf(call) as [JsonObject];
      const context = { plan: pipeline.plan, placement, tenant };
      const { output } = await runInProcess(pipeline.input.parse(input) as JsonObject, context, {
        runner: stages.runner,
        run: randomUUID(),
      });
      expect(JSON.parse(JSON.stringify(output)) as Json).toEqual(valuesOf(expected, SHAPES)[0]);
    }
  },
);
