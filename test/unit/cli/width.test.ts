import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import stringWidth from 'string-width';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { doctor } from '../../../cli/doctor/index.js';
import { explainPipeline } from '../../../cli/explain.js';
import { writeInventory } from '../../../cli/inventory.js';
import { createKey, listKeys } from '../../../cli/keys.js';
import { note, show, table } from '../../../cli/output.js';
import { listPipelines } from '../../../cli/run.js';
import { stageTable } from '../../../cli/run-view.js';
import { runTable } from '../../../cli/runs.js';
import { listSettings } from '../../../cli/settings.js';
import { status } from '../../../cli/stack.js';
import { validate } from '../../../cli/validate.js';
import { columnsOf } from '../../../cli/wrap.js';
import { writeState } from '../../../deploy/local/stack/stack-state.js';
import { pipelines } from '../../../pipelines/catalog/index.js';
import { identify } from '../../../runtime/process-identity.js';
import { testSettings } from '../../support/settings.js';
import { testGateway } from '../../support/test-gateway.js';
import { moduleWith } from './modules.js';

const COLUMNS = 100;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-width-'));
const catalogue = testSettings({ MILLRACE_PIPELINES: '', MILLRACE_HOME: path.join(folder, 'home') });

/** What a command writes to stdout and stderr, which are no terminal here. */
async function outputOf(command: () => unknown): Promise<string> {
  let out = '';
  const write = (text: unknown, done?: unknown) => {
    out += String(text);
    if (typeof done === 'function') done();
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(write as never);
  vi.spyOn(process.stderr, 'write').mockImplementation(write as never);
  await command();
  return out;
}
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

/** Lines that are too long; a word alone stays whole, so that an address or a path can be copied. */
const tooLong = (text: string): string[] =>
  text.split('\n').filter((line) => stringWidth(line) > COLUMNS && !/^\s*[^\s"]+$/.test(line));

function runningStack(): void {
  const home = catalogue.MILLRACE_HOME;
  const self = identify(process.pid);
  if (!self) throw new Error('no /proc');
  mkdirSync(path.join(home, 'run'), { recursive: true });
  const part = (name: 'worker' | 'redis' | 'triton', more: object) => ({
    name,
    state: 'backoff' as const,
    starts: 3,
    failures: 2,
    address: `http://127.0.0.1:7401`,
    ports: [7401],
    log: path.join(home, 'logs', `${name}.log`),
    ...more,
  });
  writeState(home, {
    format: 1,
    supervisor: self,
    startedAt: new Date().toISOString(),
    ready: false,
    parts: [
      part('worker', {
        program: `ffmpeg ${'/a-long-folder'.repeat(4)}/ffmpeg: the embedded one: there is none on PATH`,
      }),
      part('redis', { program: `${'/a-long-folder'.repeat(4)}/redis-server 8.2.3`, process: self }),
      part('triton', {
        lastExit: { code: 1, signal: null, reason: 'not ready after 120000 ms', at: '', uptimeMs: 120_000 },
      }),
    ],
  });
}

const BROKEN = `
  export const a = m.pipeline('a-pipeline-with-a-rather-long-name', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
    x: stage('a-stage-with-a-long-name', m.chat({ model: 'a-model-that-no-pool-serves' }), { prompt: input.q }).text }));
  export const b = m.pipeline('other', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
    x: stage('a', m.chat({ model: 'assistant' }), { prompt: input.q }, { retry: { attempts: 0 } }).text }));`;

const row = {
  stage: 'a-stage-with-a-long-name',
  kind: 'chat',
  connector: 'openai',
  model: 'a-model-with-a-long-name',
  endpoint: 'http://a-host-with-a-long-name.example.internal:8000/v1',
  device: 'gpu-node-12/3',
  attempt: 3,
  cache: 'miss',
  queueMs: 12_345,
  runMs: 123_456,
  status: 'failed',
  error: { code: 'BACKEND_UNAVAILABLE', message: '' },
} as const;

describe('the output has at most 100 columns:', () => {
  const keys = path.join(folder, 'keys.json');
  const withKeys = testSettings({ MILLRACE_PIPELINES: '', MILLRACE_KEYS: keys });
  const dead = {
    ...process.env,
    MILLRACE_PIPELINES: '',
    MILLRACE_HOME: path.join(folder, 'a-folder-with-a-long-name', 'another-folder-with-a-long-name'),
    MILLRACE_PORT_BASE: '9',
    MILLRACE_SOMETHING_THAT_IS_NO_SETTING: '1',
  };

  it.each<[string, () => unknown]>([
    ['doctor', () => doctor({}, dead)],
    ['doctor with invalid settings', () => doctor({}, { MILLRACE_CORS_ORIGINS: '*', MILLRACE_GATEWAY_PORT: 'x' })],
    [
      'status',
      () => {
        runningStack();
        return status(catalogue, {});
      },
    ],
    ['settings', listSettings],
    ['validate', () => validate(catalogue, undefined, {})],
    ['validate with findings', () => validate(catalogue, moduleWith(BROKEN), {})],
    ['inventory', () => writeInventory(catalogue, { out: path.join(folder, 'cluster.yaml'), nvidiaSmi: '/nowhere' })],
    [
      'keys',
      async () => {
        const all = ['run', 'read', 'approve', 'metrics'];
        const names = ['voice-assistant', 'meeting-minutes'];
        await createKey(withKeys, {
          tenant: 'acme-corporation',
          name: 'The nightly batch of minutes',
          permissions: all,
          pipelines: names,
        });
        listKeys(withKeys, {});
      },
    ],
    ['run', () => show(stageTable([row, row]))],
    [
      'runs',
      () =>
        show(
          runTable([
            {
              id: `${'p'.repeat(63)}-7f9c24e5-1f4b-4a2b-9d3e-0c5a8b6d1e2f`,
              pipeline: 'p',
              status: 'running',
              createdAt: '2026-01-31T12:00:00.000Z',
            } as never,
          ]),
        ),
    ],
    ['notes', () => note(`Next: ${'word '.repeat(60)}`)],
    ...pipelines.flatMap(({ name }): [string, () => unknown][] => [
      [`explain ${name}`, () => explainPipeline(catalogue, name, {})],
      [`explain ${name} --all`, () => explainPipeline(catalogue, name, { all: true })],
    ]),
  ])('%s', { timeout: 60_000 }, async (_, command) => {
    const text = await outputOf(command);
    expect(text.trim()).not.toBe('');
    expect(tooLong(text)).toEqual([]);
  });

  it('pipelines', async () => {
    const gateway = await testGateway({}, { pipelines, placementOf: () => ({}) });
    const at = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const text = await outputOf(() => listPipelines(testSettings({ MILLRACE_GATEWAY_URL: at }), {}));
    expect(tooLong(text)).toEqual([]);
    for (const { name } of pipelines) expect(text).toContain(name);
    await gateway.close();
  });
});

describe('the table of a run', () => {
  const usual = {
    ...row,
    stage: 'answer',
    model: 'assistant',
    device: 'cpu0',
    endpoint: 'http://127.0.0.1:7408/v1',
    attempt: 1,
    cache: 'off',
    queueMs: 3,
    runMs: 268,
    status: 'done',
    error: undefined,
  } as never;

  it('fits without a wrap where nothing is unusual, which is left out', async () => {
    const lines = stageTable([usual]).split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^stage +served by +endpoint +queue ms +run ms +status$/);
    expect(lines[1]).toMatch(/^answer +openai · assistant @cpu0 +http:\S+ +3 +268 +done$/);
  });

  it('shows attempts and caches that are', () => {
    expect(stageTable([usual, { ...(usual as object), attempt: 2 } as never])).toMatch(/endpoint +attempt +queue/);
    expect(stageTable([usual, { ...(usual as object), cache: 'miss' } as never])).toMatch(/endpoint +cache +queue/);
  });
});

describe('wrapping', () => {
  it('keeps every word, and the place of what continues a line', async () => {
    const words = Array.from({ length: 80 }, (_, i) => `word${i}`);
    const text = await outputOf(() => show(`    policy  ${words.join(' ')}`));
    expect(text.split(/\s+/).filter(Boolean)).toEqual(['policy', ...words]);
    expect(
      text
        .split('\n')
        .slice(1, -1)
        .every((line) => line.startsWith('      word')),
    ).toBe(true);
  });

  it('keeps every character of a table, and its columns apart', async () => {
    const long = 'x'.repeat(90);
    const text = await outputOf(() =>
      show(
        table(
          ['a', 'b', 'n'],
          [
            ['one', long, 7],
            ['two', `${long} ${long}`, 1_000],
          ],
        ),
      ),
    );
    expect(tooLong(text)).toEqual([]);
    expect([...text.matchAll(/x/g)]).toHaveLength(3 * 90);
    for (const line of text.split('\n').filter((each) => each.includes('xx'))) expect(line.indexOf('x')).toBe(5);
  });

  it('goes as far as the terminal does, and leaves addresses whole', () => {
    expect(columnsOf({ isTTY: true, columns: 180 })).toBe(180);
    expect(columnsOf({ isTTY: true, columns: 80 })).toBe(80);
    expect(columnsOf({})).toBe(COLUMNS);
  });

  it('does not break an address', async () => {
    const address = `http://127.0.0.1:7403/${'a'.repeat(150)}`;
    expect(await outputOf(() => show(`see ${address} there`))).toBe(`see\n  ${address}\n  there\n`);
  });
});
