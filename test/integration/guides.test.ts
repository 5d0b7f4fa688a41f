import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { transformWithEsbuild } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Door } from '../../gateway/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { loadModels } from '../../workers/models.js';
import { SHAPES, valuesOf } from '../support/dsl-examples.js';
import { ForeignWorker } from '../support/foreign-worker.js';
import {
  folderForBlocks,
  isPipeline,
  OWN_GUIDES,
  ROOT,
  read,
  type WrittenBlock,
  writeBlocks,
} from '../support/pages.js';
import { address, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testSettings } from '../support/settings.js';

/**
 * The pipelines of the README and the guides as a reader would have them: one module, served by a gateway and a worker on the
 * embedded servers, called over HTTP, and by the programs of the pages.
 */

/** Pages whose model is scripted, since the embedded one calls no tool by itself and takes text alone. */
const SCRIPTED: ReadonlySet<string> = new Set([
  'docs/guides/agents.md',
  'docs/guides/frameworks.md',
  'docs/guides/multimodal.md',
]);

/** Calls the tool that it is offered for what the user says, then says what the tool gave. */
const llm = new ScriptedLlm(({ messages, tools }) => {
  const asked = messages.find(({ role }) => role === 'user')?.content ?? '';
  const results = messages.filter(({ role }) => role === 'tool');
  const last = results.at(-1)?.content;
  if (tools.includes('refund') && results.length === 0 && asked.includes('money back'))
    return { calls: [['refund', { order: '4711' }]] };
  if (tools.includes('order_status') && results.length === 0) return { calls: [['order_status', { order: '4711' }]] };
  return { text: last === undefined ? 'Hello.' : `The tool says ${last}` };
});

const folder = folderForBlocks('guides');
const blocks = writeBlocks(folder, OWN_GUIDES);
const served = new Map<boolean, ServedPipelines>();
const servedFor = (page: string) => served.get(SCRIPTED.has(page)) as ServedPipelines;

/** The pools of the guides besides the embedded ones. */
async function pools(): Promise<JsonObject> {
  const embedded = await loadModels(testSettings({ MILLRACE_PIPELINES: '' }));
  const large = { ...embedded.assistant, endpoints: [{ url: address('LLM_BASE_URL'), device: 'cpu0' }] };
  const shout = { connector: 'triton', kind: 'infer', model: 'echo', endpoints: embedded.minilm?.endpoints };
  return JSON.parse(JSON.stringify({ ...embedded, large, shout })) as JsonObject;
}

async function serve(scripted: boolean): Promise<ServedPipelines> {
  const own = blocks.filter((block) => block.defines && SCRIPTED.has(block.page) === scripted && block.runs.length > 0);
  const module = path.join(folder, `all-${scripted}.ts`);
  const imports = own.map(({ file }, i) => `import * as block${i} from '${file}';`);
  const all = own.map((_, i) => `...Object.values(block${i})`);
  writeFileSync(module, `${imports.join('\n')}\nexport const all = [${all.join(', ')}] as unknown[];\n`);
  const { assistant, ...others } = await pools();
  let models = path.join(folder, 'models.json');
  if (scripted) models = await llm.listen('assistant', others);
  else writeFileSync(models, JSON.stringify({ assistant, ...others }));
  const { all: exported } = (await import(pathToFileURL(module).href)) as { all: unknown[] };
  return servePipelines(exported.filter(isPipeline) as unknown as Pipeline<never>[], {
    more: { MILLRACE_PIPELINES: module, MILLRACE_MODELS: models },
    doors: scripted ? [] : await doors(),
  });
}

/** The doors that the guides define. */
async function doors(): Promise<readonly Door[]> {
  const files = blocks.filter(({ source }) => source.includes(': Door = ')).map(({ file }) => pathToFileURL(file).href);
  const modules = await Promise.all(files.map(async (file) => (await import(file)) as Record<string, Door>));
  return modules.flatMap((module) => Object.values(module));
}

/** The worker of another team, for the guide to Temporal. */
let foreign: ForeignWorker;

beforeAll(async () => {
  foreign = await ForeignWorker.start('risk');
  for (const scripted of [false, true]) served.set(scripted, await serve(scripted));
});
afterAll(async () => {
  for (const each of served.values()) await each.close();
  await foreign.kill();
  llm.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Small models on a machine that does much else. */
const RUN_MS = 110_000;

/** What stands for a file in the runs of a page. */
const NAMES = { file: (name: string) => ({ base64: readFileSync(path.join(ROOT, name)).toString('base64') }) };

const runs = blocks.filter((block) => block.runs.length > 0);

describe('pipelines of the guides', () => {
  it.each(runs.map((block) => [`${block.page}: ${block.name}`, block] as const))('%s', async (_, block) => {
    const to = servedFor(block.page);
    const [, name = ''] =
      /\bpipeline\(\s*'([\w-]+)'/.exec(block.source.slice(block.source.indexOf('export const'))) ?? [];
    for (const { call, expected } of block.runs) {
      const [input] = valuesOf(call, NAMES) as [JsonObject];
      const output = await outputOf(to, name, block, input);
      expect(JSON.parse(JSON.stringify(output)) as Json).toEqual(valuesOf(expected, SHAPES)[0]);
    }
  });
});

/** The output of a run whose waits, if it has any, are decided as the block says. */
async function outputOf(to: ServedPipelines, name: string, { decisions }: WrittenBlock, input: JsonObject) {
  const send = (url: string, body: object) =>
    fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  const { id } = (await (await send(`${to.url}/v1/pipelines/${name}/runs`, input)).json()) as { id: string };
  for (const decision of decisions) {
    const [at, { approved, by }] = valuesOf(decision) as [string, { approved: boolean; by: string }];
    let nonce: string | undefined;
    await until(`${name} waits at ${at}`, async () => {
      nonce = (await to.get(id)).waiting?.find(({ path: where }) => where.startsWith(at))?.nonce;
      return nonce !== undefined;
    });
    const url = `${to.url}/v1/runs/${id}/${approved ? 'approve' : 'reject'}`;
    expect((await send(url, { nonce, by })).status).toBe(202);
  }
  let run = await to.get(id);
  const ended = async () => {
    run = await to.get(id);
    // Where Temporal stands still there is a problem document.
    return run.id === id && run.status !== 'running';
  };
  await until(`${name} ends`, ended, RUN_MS);
  const { status, output, error } = run;
  expect({ status, error }).toEqual({ status: 'succeeded' });
  return output;
}

describe('programs of the guides', () => {
  const programs = blocks.filter(({ defines }) => !defines);

  it.each(programs.map((block) => [`${block.page}: ${block.name}`, block] as const))('%s', async (_, block) => {
    // The page's own files beside it, as a build would leave them; they import the built package.
    const built = (file: string) => file.replace(folder, path.join(folder, 'built')).replace(/\.ts$/, '.js');
    mkdirSync(path.dirname(built(block.file)), { recursive: true });
    for (const { file, source } of blocks.filter(({ page }) => page === block.page)) {
      const here = source.replaceAll('http://127.0.0.1:7400', servedFor(block.page).url);
      const { code } = await transformWithEsbuild(here, file, { target: 'es2022' });
      writeFileSync(built(file), code);
    }
    const { stdout } = await promisify(execFile)(process.execPath, [built(block.file)], { cwd: ROOT, timeout: RUN_MS });
    const shown = [...block.source.matchAll(/^\/\/ prints (.*)$/gm)].map(([, line = '']) => line);
    expect(shown.length, 'a program says what it prints').toBeGreaterThan(0);
    for (const line of shown) expect(stdout).toMatch(new RegExp(line));
  });
});

it('every guide whose page shows pipelines runs at least one', () => {
  for (const page of OWN_GUIDES.filter((each) => /^```ts$/m.test(read(each)) && each !== 'README.md')) {
    expect(runs.map((block) => block.page)).toContain(page);
  }
});
