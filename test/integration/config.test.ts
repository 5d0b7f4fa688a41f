import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunDocument } from '../../runs/document.js';
import { freePort } from '../support/free-port.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { until } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';
import { WorkerProcess } from '../support/worker-process.js';

const CLI = path.resolve('dist/cli/main.js');
const START_MS = 180_000;

/** Programs of Node to load configurations with, beside the one that runs the tests. */
const NODES = [process.execPath, ...(process.env.MILLRACE_TEST_NODES ?? '').split(',').filter(Boolean)];

/** A folder whose modules find `millrace` and `zod` as those of a user’s project do. */
function project(files: Readonly<Record<string, string>>): string {
  mkdirSync('.millrace/test', { recursive: true });
  const folder = path.resolve(mkdtempSync('.millrace/test/config-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

const CONFIG = `import { defineConfig, type Config } from 'millrace/server';
import { lines } from './doors/lines.ts';

const config: Config = {
  pipelines: './pipelines.ts',
  doors: [lines],
  settings: { MILLRACE_MAX_JSON_BYTES: 2_000 },
};
export default defineConfig(config);
`;

/** Types of all sorts, an import by the name of the compiled file, and one without ending. */
const PIPELINES = `import { code, MillraceError, pipeline } from 'millrace';
import { z } from 'zod';
import { total } from './total.js';
import type { Money } from './money';

interface Order { readonly prices: readonly Money[] }

const sum = code(
  'sum',
  { input: z.object({ prices: z.array(z.number()) }), output: z.object({ total: z.number() }) },
  (order: Order) => {
    if (order.prices.length === 0) throw new MillraceError('INVALID_INPUT', 'nothing is ordered');
    return { total: total(order.prices as Money[]) satisfies number };
  },
);

export const bill = pipeline(
  'bill',
  { input: z.object({ prices: z.array(z.number()) }) },
  ({ input, stage }) => ({ total: stage('sum', sum, { prices: input.prices }, { retry: { attempts: 1 } }).total }),
);
`;

const DOOR = `import type { Door } from 'millrace/server';

export const lines: Door = {
  prefix: '/lines',
  routes(app, gateway) {
    app.post('/bill', async (request) => {
      const prices = String(request.body).split(' ').map(Number);
      const { output } = await gateway.start(request, { pipeline: 'bill', input: { prices }, waitMs: 30_000 });
      return 'total ' + String(output?.total);
    });
  },
};
`;

const FILES = {
  'millrace.config.ts': CONFIG,
  'pipelines.ts': PIPELINES,
  'total.ts': `export const total = (prices: readonly number[]): number => prices.reduce((a, b) => a + b, 0);\n`,
  'money.ts': 'export type Money = number;\n',
  'doors/lines.ts': DOOR,
};

describe('a configuration in TypeScript', () => {
  const queue = `config-${randomUUID()}`;
  const file = path.join(project(FILES), 'millrace.config.ts');
  const more = { MILLRACE_CONFIG: file, MILLRACE_PIPELINES: '', MILLRACE_TASK_QUEUE: queue };
  let gateway: GatewayProcess;
  let worker: WorkerProcess;
  beforeAll(async () => {
    [gateway, worker] = await Promise.all([GatewayProcess.start(more), WorkerProcess.start(queue, more)]);
  }, START_MS);
  afterAll(() => Promise.all([gateway?.stop(), worker?.kill('SIGTERM')]));

  const run = async (input: object) => {
    const response = await fetch(`${gateway.url}/v1/pipelines/bill/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify(input),
    });
    return (await response.json()) as RunDocument & { readonly code?: string };
  };

  it('drives worker and gateway, which agree on the build', async () => {
    expect(await run({ prices: [1, 2, 3] })).toMatchObject({ status: 'succeeded', output: { total: 6 } });
  });

  it('its pipelines share the classes of Millrace', async () => {
    // An error of another copy of Millrace would be CODE_FAILED.
    expect(await run({ prices: [] })).toMatchObject({
      code: 'INVALID_INPUT',
      detail: expect.stringContaining('nothing'),
    });
  });

  it('its settings and doors are the gateway’s', async () => {
    expect(await run({ prices: Array.from({ length: 1_500 }, () => 1) })).toMatchObject({ code: 'BODY_TOO_LARGE' });
    const answer = await fetch(`${gateway.url}/lines/bill`, { method: 'POST', body: '4 5' });
    expect([answer.status, await answer.text()]).toEqual([200, 'total 9']);
  });
});

describe('a program', () => {
  it('runs worker and gateway with a configuration of its own, until SIGTERM', { timeout: START_MS }, async () => {
    const folder = project({
      ...FILES,
      'program.mjs': `import { createGateway, createWorker } from 'millrace/server';
import { lines } from './doors.mjs';
const config = {
  pipelines: './pipelines.mjs',
  doors: [lines],
  settings: { MILLRACE_MAX_WAIT_MS: 60_000 },
};
const all = await Promise.all([createWorker(config), createGateway(config)]);
await Promise.all(all.map((each) => each.run()));
console.log('ended');
`,
      'doors.mjs': `export const lines = {
  prefix: '/lines',
  routes(app, gateway) {
    app.get('/names', async (request) => gateway.pipelines(request).map(({ name }) => name));
  },
};
`,
      'pipelines.mjs': `import { pipeline } from 'millrace';
import { z } from 'zod';
export const same = pipeline('same', { input: z.object({ a: z.string() }) }, ({ input }) => ({ a: input.a }));
`,
    });
    const [port, metrics] = [await freePort(), await freePort()];
    const env = testEnvironment({
      MILLRACE_PIPELINES: '',
      MILLRACE_TASK_QUEUE: `program-${randomUUID()}`,
      MILLRACE_GATEWAY_PORT: String(port),
      MILLRACE_KSERVE_GRPC_PORT: '0',
      MILLRACE_WORKER_METRICS_PORT: String(metrics),
    });
    const child = spawn(process.execPath, ['program.mjs'], {
      cwd: folder,
      env: { ...process.env, ...env, MILLRACE_HOME: path.resolve('.millrace/test') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let written = '';
    child.stdout.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
    // With all that it has written.
    const ended = once(child, 'close');
    try {
      for (const url of [`http://127.0.0.1:${port}/healthz`, `http://127.0.0.1:${metrics}/readyz`])
        await until(`${url} answers`, async () => (await fetch(url).catch(() => undefined))?.ok === true, START_MS);
      const url = `http://127.0.0.1:${port}`;
      expect(await (await fetch(`${url}/lines/names`)).json()).toEqual(['same']);
      const run = await fetch(`${url}/v1/pipelines/same/runs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
        body: JSON.stringify({ a: 'x' }),
      });
      expect(await run.json()).toMatchObject({ status: 'succeeded', output: { a: 'x' } });
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      // The last lines of the log may be written behind it.
      expect(written).toMatch(/^ended$/m);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe.each(NODES)('the command line on %s', (node) => {
  /** Runs a command in a folder. */
  const millrace = (cwd: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, ...testEnvironment({ MILLRACE_PIPELINES: '', MILLRACE_CONFIG: '', ...more }) };
      execFile(node, [CLI, ...args], { cwd, env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });

  it('finds the file of the folder, or takes the one that is named', async () => {
    const folder = project(FILES);
    const valid = { code: 0, stderr: expect.stringContaining('0 errors, 0 warnings in bill') };
    expect(await millrace(folder, ['validate'])).toMatchObject(valid);
    expect(await millrace('.', ['validate', '--config', path.join(folder, 'millrace.config.ts')])).toMatchObject(valid);
    expect(await millrace('.', ['validate'], { MILLRACE_CONFIG: `${folder}/millrace.config.ts` })).toMatchObject(valid);
    expect((await millrace(folder, ['validate'], { MILLRACE_CONFIG: 'none' })).stderr).toContain('voice-assistant');
    expect((await millrace(folder, ['validate'], { MILLRACE_PIPELINES: 'total.ts' })).stderr).toContain(
      'total.ts exports no pipeline',
    );
    expect(await millrace('.', ['validate', '--config', 'nowhere.ts'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no configuration file'),
    });
  });

  it('takes plain JavaScript, and pipelines themselves', async () => {
    const folder = project({
      ...FILES,
      'millrace.config.mjs': `import { bill } from './pipelines.ts';\nexport default { pipelines: [bill] };\n`,
      'millrace.config.ts': `import { bill } from './pipelines.ts';\nexport default { pipelines: [bill] };\n`,
    });
    expect((await millrace(folder, ['validate'])).stderr).toContain('in bill');
    const plain = project({ 'millrace.config.mjs': 'export default { settings: { MILLRACE_MAX_WAIT_MS: 5 } };\n' });
    expect((await millrace(plain, ['doctor', '--json'])).stdout).toContain('1 from');
  });

  const at = (line: number) => `millrace.config.ts:${line}`;
  const wrong = [
    [
      'a misspelt field',
      'export default {\n  pipelines: "./p.ts",\n  conectors: [],\n};\n',
      `${at(3)} conectors: is no field (did you mean "connectors"?)`,
    ],
    [
      'a wrong setting',
      'export default {\n  settings: {\n    MILLRACE_GATEWAY_PORT: 99999,\n  },\n};\n',
      `${at(3)} settings.MILLRACE_GATEWAY_PORT: `,
    ],
    ['no default export', 'export const config = {};\n', 'millrace.config.ts: has no default export'],
    ['a file that throws', '\n\nthrow new Error("no luck");\n', `${at(3)}:7: cannot be loaded: no luck`],
    ['a file that does not parse', 'export default {\n  doors: [\n', 'millrace.config.ts'],
    ['an enum', 'enum A { B }\nexport default {};\n', 'cannot be loaded: '],
    ['a missing import', 'import "./none.ts";\nexport default {};\n', 'none.ts'],
    [
      'a pipeline that throws',
      'import "./pipelines.ts";\nexport default {};\n',
      'pipelines.ts:2:7: cannot be loaded: no pipeline here',
    ],
  ] as const;
  const folders = wrong.map(([, text]) =>
    project({
      'millrace.config.ts': text,
      'pipelines.ts': 'const a: number = 1;\nthrow new Error("no pipeline here" satisfies string);\n',
    }),
  );

  it('ends with 2 where the file is wrong, and says so', async () => {
    const [, , message] = wrong[0];
    const [folder = '.'] = folders;
    const { code, stderr } = await millrace(folder, ['validate']);
    expect(stderr).toContain(`INVALID_SETTING: ${message}`);
    expect(code).toBe(2);
  });

  /** What is said of each of the wrong files, by one process: the command takes a second to start. */
  let said: string[] = [];
  beforeAll(async () => {
    const load = JSON.stringify(path.resolve('dist/workers/config/load.js'));
    const script = `import { loadSettings } from ${load};
      for (const file of process.argv.slice(1))
        await loadSettings(process.env, file).then(
          () => console.log('nothing'),
          ({ code, message }) => console.log(JSON.stringify(code + ': ' + message)),
        );`;
    const files = folders.map((folder) => path.join(folder, 'millrace.config.ts'));
    const args = ['--input-type=module', '--eval', script, ...files];
    const env = { ...process.env, ...testEnvironment({ MILLRACE_PIPELINES: '', MILLRACE_CONFIG: '' }) };
    said = (await promisify(execFile)(node, args, { env })).stdout.split('\n');
  });

  it.each(wrong.map(([what, , message], i) => [what, message, i] as const))('says where %s is', (_, message, i) => {
    expect(said[i]).toContain('INVALID_SETTING: ');
    expect(JSON.parse(said[i] ?? '')).toContain(message);
  });
});
