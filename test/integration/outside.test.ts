import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { poolChecks } from '../../cli/doctor/pools-check.js';
import { type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunDocument } from '../../runs/document.js';
import { composeStages } from '../../workers/compose.js';
import { connectorsOf } from '../../workers/connectors.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels } from '../../workers/models.js';
import { acme } from '../support/acme/connector.js';
import { keywords as keywordsOf } from '../support/acme/keywords.js';
import { tagged, taggedInline } from '../support/acme/pipelines.js';
import { AcmeServer, respond } from '../support/acme/server.js';
import { isSlow } from '../support/findings.js';
import { freePort } from '../support/free-port.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';

/** A connector and a stage kind from outside, on the real stack. */

const server = new AcmeServer();
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
const taggedOnce = pipeline('tagged-once', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
  found: stage('find', keywordsOf({ model: 'words' }), { text: input.text }, { retry: { attempts: 1 } }).keywords,
}));
const pipelines = [tagged, taggedInline, taggedOnce] as unknown as Pipeline<never>[];
const module = fileURLToPath(new URL('../support/acme/pipelines.ts', import.meta.url));
let served: ServedPipelines;
let more: Record<string, string>;

beforeAll(async () => {
  // It is started on the same port again.
  await server.start(await freePort());
  const [models, key] = [path.join(folder, 'models.json'), path.join(folder, 'key')];
  writeFileSync(key, AcmeServer.key);
  const pool = {
    ...{ connector: 'acme', kind: 'acme/keywords', model: 'words', apiKey: { file: key } },
    endpoints: [{ url: server.url, device: 'acme0' }],
  };
  writeFileSync(models, JSON.stringify({ words: pool }));
  more = { MILLRACE_MODELS: models, MILLRACE_PIPELINES: module };
  served = await servePipelines(pipelines, { more, connectors: [acme] });
});
afterAll(async () => {
  await served?.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const input = { text: 'boats carry grain' };
const keywords = [
  { word: 'boats', score: 1 },
  { word: 'carry', score: 0.5 },
];
const rowOf = (run: RunDocument) => run.stages?.find(({ stage }) => stage === 'find');
const json = { 'content-type': 'application/json', prefer: 'wait=60' };
/** A run that may fail. */
async function ended(pipeline: string, given: object): Promise<RunDocument> {
  const response = await served.post(pipeline, JSON.stringify(given), json);
  const body = (await response.json()) as RunDocument & { run?: RunDocument };
  return body.run ?? body;
}

describe.each(['tagged', 'tagged-inline'])('%s', (name) => {
  it('answers over HTTP', async () => {
    const run = await served.run(name, input);
    expect(run).toMatchObject({ status: 'succeeded', output: { keywords } });
    expect(rowOf(run)).toMatchObject({
      kind: 'acme/keywords',
      connector: 'acme',
      model: 'words',
      device: 'acme0',
      endpoint: server.url,
      status: 'done',
    });
  });

  it('is tried again after the time that the server has requested', async () => {
    server.faults.push((response) => respond(response, 429, { error: 'busy' }, { 'retry-after': '1' }));
    const started = performance.now();
    const run = await served.run(name, input);
    expect(rowOf(run)).toMatchObject({ status: 'done', attempt: 2 });
    expect(performance.now() - started).toBeGreaterThan(1_000);
  });

  it('fails with the code to which the connector maps the refusal', async () => {
    const run = await ended(name, { text: '' });
    expect(run).toMatchObject({ status: 'failed', error: { code: 'BACKEND_REJECTED', stage: 'find' } });
    expect(run.error?.message).toContain(`words at ${server.url}: HTTP 400: {"error":"the text is empty"}`);
  });

  it('waits for its server, and uses no attempt', async () => {
    await server.stop();
    const started = await served.post(name, JSON.stringify(input), { 'content-type': 'application/json' });
    const { id } = (await started.json()) as RunDocument;
    await expect.poll(async () => rowOf(await served.get(id))?.doing, { timeout: 60_000 }).toBe('waiting for words');
    await server.start();
    await expect.poll(async () => (await served.get(id)).status, { timeout: 60_000 }).toBe('succeeded');
    expect(rowOf(await served.get(id))).toMatchObject({ status: 'done', attempt: 1 });
  });
});

it('fails with the field of an answer that does not fit the kind', async () => {
  server.faults.push((response) => respond(response, 200, { keywords: ['boats'] }));
  const run = await ended('tagged-once', input);
  expect(run).toMatchObject({ status: 'failed', error: { code: 'INVALID_OUTPUT', stage: 'find' } });
  expect(run.error?.message).toContain('keywords.0');
});

it('is examined by `millrace doctor`', async () => {
  const settings = testSettings(more);
  const [check] = poolChecks(settings, await loadModels(settings), connectorsOf(settings, [acme]));
  const findings = await check?.run(AbortSignal.timeout(60_000));
  expect(findings?.map((finding) => [finding.id, isSlow(finding) ? 'ok' : finding.state])).toEqual([
    ['pool.reachable', 'ok'],
    ['pool.model', 'ok'],
    ['pool.canary', 'ok'],
  ]);
});

describe('while a deployment is half done', () => {
  it('a call waits for a worker that has the kind', async () => {
    const queue = `outside-${randomUUID()}`;
    const old = await servePipelines(pipelines, {
      more: { MILLRACE_MODELS: more.MILLRACE_MODELS ?? '' },
      connectors: [acme],
      queue,
    });
    const settings = testSettings({ ...more, MILLRACE_LOG_LEVEL: 'silent' });
    const stages = await composeStages(settings, createLogger(settings, 'test'), [acme]);
    let next: TestWorker | undefined;
    try {
      for (const name of ['tagged', 'tagged-inline']) {
        const started = await old.post(name, JSON.stringify(input), { 'content-type': 'application/json' });
        const { id } = (await started.json()) as RunDocument;
        await expect.poll(async () => rowOf(await old.get(id))?.doing, { timeout: 60_000 }).toBe('waiting for words');
        expect((await old.get(id)).status).toBe('running');
        next ??= await TestWorker.start({ queue, runner: stages.runner, code: stages.code });
        await expect.poll(async () => (await old.get(id)).status, { timeout: 60_000 }).toBe('succeeded');
        expect(rowOf(await old.get(id))).toMatchObject({ status: 'done', attempt: 1 });
        await next.stop();
        next = undefined;
      }
    } finally {
      await next?.stop();
      await old.close();
      await stages.close();
    }
  });
});
