import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { Painter } from '../support/painter.js';
import { connect, until } from '../support/runs.js';
import { wavFile } from '../support/wav-samples.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = 'code-artifacts';
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-painter-'));
const SETTINGS = {
  MILLRACE_MODELS: path.join(folder, 'models.json'),
  MILLRACE_PIPELINES: 'test/fixtures/code-artifacts.mjs',
  MILLRACE_TASK_QUEUE: QUEUE,
  MILLRACE_MAX_STAGE_MEDIA_BYTES: '100000',
};

let temporal: Client;
let worker: WorkerProcess;
let gateway: GatewayProcess;
let client: MillraceClient;
const painter = new Painter();
beforeAll(async () => {
  await painter.start();
  writeFileSync(SETTINGS.MILLRACE_MODELS, JSON.stringify({ painter: painter.pool }));
  [temporal, worker, gateway] = await Promise.all([
    connect(),
    WorkerProcess.start(QUEUE, SETTINGS),
    GatewayProcess.start(SETTINGS),
  ]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
afterAll(async () => {
  await Promise.all([worker?.kill('SIGTERM'), gateway?.stop(), painter.stop()]);
  await temporal?.connection.close();
  rmSync(folder, { recursive: true });
});

const speech = () => new Blob([wavFile({ sampleRate: 8_000, channels: 2, seconds: 0.5, amplitude: 0.25 })]);

it.each(['media-queued', 'media-inline'])('functions of %s read and write media', async (name) => {
  const { output, stages } = await client.run(name, { speech: speech(), copies: 2 });
  expect(output).toMatchObject({
    speech: { mime: 'audio/wav', sampleRate: 8_000, channels: 1, durationMs: 500 },
    bytes: 44 + 2 * 4_000,
    report: expect.stringMatching(/^artifact:\/\/default\//),
  });
  expect(stages).toMatchObject([{ stage: 'louder', conversions: ['8000 Hz stereo → 8000 Hz mono'] }, {}]);
  const file = Buffer.from(await (await client.artifact(output.speech as never)).arrayBuffer());
  const loudest = Math.max(...Array.from({ length: 4_000 }, (_, i) => file.readInt16LE(44 + 2 * i)));
  expect(loudest / 32_768).toBeCloseTo(0.5, 2);
});

it.each(['media-queued', 'media-inline'])('the media of one call of %s are limited', async (name) => {
  await expect(client.run(name, { speech: speech(), copies: 3 })).rejects.toMatchObject({
    code: 'OUTPUT_BUDGET_EXCEEDED',
    run: { error: { stage: 'measured' } },
  });
});

describe('images of a job (the server is a fixture)', () => {
  beforeEach(() => {
    painter.submitted.length = 0;
    painter.asked.length = 0;
    painter.percent = 100;
    painter.padding = 0;
  });

  it('are told of while they are made, and the job is gone on with when the worker is killed', async () => {
    painter.percent = 40;
    const { id } = await client.start('paint-queued', { prompt: 'a mill' });
    const shares: number[] = [];
    let output: unknown;
    for await (const event of client.events(id)) {
      if (event.type === 'run') output = event.run.output;
      if (event.type !== 'stage.progress') continue;
      shares.push(event.share);
      if (event.share !== 0.4 || shares.length > 1) continue;
      await until('Temporal knows of the job', async () => {
        const [pending] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
        const beat = pending?.heartbeatDetails?.payloads?.[0]?.data ?? [];
        return Buffer.from(beat).toString().includes('"job":"p1"');
      });
      await worker.kill();
      painter.percent = 80;
      worker = await WorkerProcess.start(QUEUE, SETTINGS);
      painter.percent = 100;
    }
    expect(output).toMatchObject({ images: [{ mime: 'image/png' }] });
    expect(shares[0]).toBe(0.4);
    expect(shares.at(-1)).toBe(1);
    expect(painter.submitted).toEqual([{ prompt: 'a mill', size: '1024x1024' }]);
  });

  it('are given to OpenAI’s client', async () => {
    const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const { data = [] } = await openai.images.generate({ model: 'paint-inline', prompt: 'a mill', size: '512x512' });
    expect(
      Buffer.from(data[0]?.b64_json ?? '', 'base64')
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    expect(painter.submitted).toEqual([{ prompt: 'a mill', size: '512x512' }]);
  });

  it.each(['paint-queued', 'paint-inline'])('of %s are cancelled with their run', async (name) => {
    painter.percent = 10;
    const { id } = await client.start(name, { prompt: 'a mill' });
    await expect.poll(() => painter.asked.filter((line) => line.startsWith('GET')).length).toBeGreaterThan(2);
    await client.cancel(id);
    await expect.poll(() => painter.asked, { timeout: 60_000 }).toContain('DELETE /pictures/p1');
  });

  it('are limited, and options are those of the pool', async () => {
    painter.padding = 100_001;
    await expect(client.run('paint-inline', { prompt: 'a mill' })).rejects.toMatchObject({
      code: 'OUTPUT_BUDGET_EXCEEDED',
    });
    painter.submitted.length = 0;
    await expect(client.run('paint-inline', { prompt: 'a mill', size: '9x9' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('options.size'),
    });
    expect(painter.submitted).toEqual([]);
  });
});
