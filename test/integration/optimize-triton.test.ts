import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { tensorrtConfig } from '../../measure/optimize/gpu.js';
import { address } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';
import { tritonRepository } from '../support/triton-models.js';

const CLI = path.resolve('dist/cli/main.js');
const FIXTURE = 'test/fixtures/optimize/batched';
const MODEL = 'optimize-batched';
const TRIAL = `${MODEL}-millrace-trial`;
const LOAD_MS = 60_000;
const within = () => AbortSignal.timeout(LOAD_MS);
const config = readFileSync(path.join(FIXTURE, 'config.pbtxt'), 'utf8');

const settings = z.object({
  max_batch_size: z.number(),
  instance_count: z.number(),
  preferred_batch_size: z.array(z.number()),
  max_queue_delay_microseconds: z.number().nullable(),
});
const report = z.object({
  trials: z.array(settings.extend({ callsPerS: z.number(), p95Ms: z.number(), meanBatch: z.number() })),
  chosen: settings,
  confirmed: z.boolean(),
  files: z.array(z.string()),
});

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-optimize-triton-'));
const out = path.join(folder, 'out');
const inRepository = (name: string) => path.join(tritonRepository(), name);
let triton: TritonClient;

/** The command at the tests' Triton, with a pool of the fixture's model. */
function search(...more: readonly string[]) {
  const models = path.join(folder, 'models.json');
  const endpoints = [{ url: address('TRITON_URL'), device: 'cpu0' }];
  writeFileSync(models, JSON.stringify({ batched: { connector: 'triton', model: MODEL, kind: 'embed', endpoints } }));
  const args = ['optimize', 'batched', '--triton', '--triton-repository', tritonRepository(), '--concurrency', '8'];
  const child = spawn(process.execPath, [CLI, ...args, '--max-instances', '1', ...more], {
    env: { ...process.env, ...testEnvironment({ MILLRACE_MODELS: models }) },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (piece) => {
    said.out += String(piece);
  });
  child.stderr.on('data', (piece) => {
    said.err += String(piece);
  });
  return { child, said, ended: once(child, 'close') };
}

const states = async () => new Map((await triton.index(within())).map(({ name, state }) => [name, state]));

beforeAll(async () => {
  triton = new TritonClient(address('TRITON_URL'));
  cpSync(FIXTURE, inRepository(MODEL), { recursive: true });
  await triton.load(MODEL, within());
});
afterAll(async () => {
  await triton.unload(MODEL, within());
  rmSync(inRepository(MODEL), { recursive: true });
  triton.close();
});

describe('millrace optimize --triton', () => {
  it('finds that batches are faster, and merges the settings into the author’s file, which Triton loads', async () => {
    const { ended, said } = search('--trials', '3', '--out', out, '--json');
    const [code] = await ended;
    expect({ code, stderr: code === 0 ? '' : said.err }).toEqual({ code: 0, stderr: '' });
    const { trials, chosen, confirmed, files } = report.parse(JSON.parse(said.out));
    expect(confirmed).toBe(true);
    expect(trials[0]).toMatchObject({ max_queue_delay_microseconds: null, meanBatch: 1 });
    expect(chosen.max_queue_delay_microseconds).not.toBeNull();
    const best = Math.max(...trials.map(({ callsPerS }) => callsPerS));
    expect(best).toBeGreaterThan(2 * (trials[0]?.callsPerS ?? Number.POSITIVE_INFINITY));
    expect(Math.max(...trials.map(({ meanBatch }) => meanBatch))).toBeGreaterThan(2);
    expect(files.sort()).toEqual(['pareto.svg', 'report.json', `triton/${MODEL}/config.pbtxt`]);
    // The author's model was not touched, and of the trial nothing is left.
    expect(readFileSync(path.join(inRepository(MODEL), 'config.pbtxt'), 'utf8')).toBe(config);
    expect(existsSync(inRepository(TRIAL))).toBe(false);
    expect((await states()).get(MODEL)).toBe('READY');
    expect((await states()).get(TRIAL)).not.toBe('READY');

    writeFileSync(
      path.join(inRepository(MODEL), 'config.pbtxt'),
      readFileSync(path.join(out, 'triton', MODEL, 'config.pbtxt')),
    );
    await triton.load(MODEL, within());
    const loaded = await triton.config(MODEL, within());
    expect(loaded).toMatchObject({ max_batch_size: chosen.max_batch_size, instance_group: [{ count: 1 }] });
    expect(Number(loaded?.dynamic_batching?.max_queue_delay_microseconds)).toBe(chosen.max_queue_delay_microseconds);
    expect(loaded?.parameters.cost_ms?.string_value).toBe('25');
  });

  it.each([
    ['SIGINT', 'trial 1'],
    ['SIGTERM', 'trial 2'],
  ] as const)('takes the trial away when it is ended by %s during %s', async (signal, trial) => {
    const { child, ended, said } = search('--out', path.join(folder, signal));
    // It is being loaded or measured.
    await expect.poll(() => said.err).toContain(trial);
    child.kill(signal);
    const [code] = await ended;
    expect(code).toBeGreaterThan(0);
    expect(said.err).toContain('REQUEST_ABORTED');
    expect(existsSync(inRepository(TRIAL))).toBe(false);
    expect((await states()).get(TRIAL)).not.toBe('READY');
    expect((await states()).get(MODEL)).toBe('READY');
    expect(existsSync(path.join(folder, signal))).toBe(false);
  });
});

/** Triton reads the whole configuration before it looks for the backend, which is not there without a GPU. */
describe('the configuration for TensorRT', () => {
  const refusal = async (text: string) => {
    const name = 'optimize-tensorrt';
    mkdirSync(path.join(inRepository(name), '1'), { recursive: true });
    writeFileSync(path.join(inRepository(name), 'config.pbtxt'), text);
    try {
      return await triton.load(name, within()).then(
        () => 'loaded',
        (error: unknown) => String(error),
      );
    } finally {
      rmSync(inRepository(name), { recursive: true });
    }
  };

  it('is read by Triton’s own parser', async () => {
    expect(await refusal(tensorrtConfig(384))).toMatch(/backend.*onnxruntime/i);
    expect(await refusal(tensorrtConfig(384).replace('execution_accelerators', 'no_such_field'))).not.toMatch(
      /backend.*onnxruntime/i,
    );
  });
});
