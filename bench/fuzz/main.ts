/**
 * Sends requests to three doors, and looks for server errors and undocumented answers: HTTP requests generated from the
 * gateway's own OpenAPI document, and violations of it; gRPC calls of the inference protocol; MCP messages; valid ones,
 * changed ones, and random bytes.
 *
 *   npm run fuzz [-- --requests 5000] [--seed N] [--json]
 *
 * It starts its own Temporal, Redis, worker and gateway on ports from 7660. Exits with 1 if it finds something.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { down, up } from '../../deploy/local/stack/index.js';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { readSettings } from '../../workers/settings.js';
import { Seeded } from '../chaos/seeded.js';
import { note } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { answered } from './answered.js';
import { documented } from './documented.js';
import { failuresIn } from './failures.js';
import { fuzzGrpc } from './grpc.js';
import { fuzzMcp } from './mcp.js';
import type { Outcome } from './outcome.js';

const { values: options } = parseOptions({
  options: {
    requests: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean' },
  },
});
const WANTED = Number(options.requests);

/** Test cases per operation in one round; rounds with other seeds follow until there are enough requests. */
const CASES = 40;
/** A schema that yields so few requests is broken. */
const MOST_ROUNDS = 40;
/** A slower answer counts as a failure. */
const ANSWER_S = 30;

const CHECKS = ['status_code_conformance', 'content_type_conformance', 'response_schema_conformance'];

const settings = readSettings({
  ...process.env,
  ...environmentOf({
    name: 'fuzz',
    portBase: 7660,
    more: {
      MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      MILLRACE_LOG_LEVEL: 'warn',
    },
  }),
});
const RECIPE = fileURLToPath(new URL('../../../bench/fuzz', import.meta.url));

async function main(): Promise<number> {
  const seed = Number(options.seed);
  await up({ settings, parts: ['temporal', 'redis', 'worker', 'gateway'], onProgress: () => undefined });
  const base = gatewayUrl(settings);
  // The first door counts the gateway's HTTP answers, so the others run after it.
  const doors = {
    http: await fuzzHttp(base),
    grpc: await fuzzGrpc(`127.0.0.1:${settings.MILLRACE_KSERVE_GRPC_PORT}`, WANTED, new Seeded(seed, 'grpc')),
    mcp: await fuzzMcp(base, WANTED, new Seeded(seed, 'mcp'), await documented(base, '/mcp')),
  };
  for (const { problems } of Object.values(doors)) for (const [what, count] of problems) note(`${what}: ${count}`);
  const result = Object.fromEntries(
    Object.entries(doors).map(([door, { problems: _, ...counts }]) => [door, counts] as const),
  );
  const lines = Object.entries(doors).map(([door, outcome]) => describe(door, outcome));
  process.stdout.write(`${options.json ? JSON.stringify(result) : lines.join('\n')}\n`);
  const good = ({ requests, serverErrors, undocumented }: Outcome) =>
    requests >= WANTED && serverErrors + undocumented === 0;
  return Object.values(doors).every(good) ? 0 : 1;
}

async function fuzzHttp(base: string): Promise<Outcome> {
  const venv = await ensureVenv({
    folder: path.join(settings.MILLRACE_HOME, 'schemathesis'),
    recipe: RECIPE,
    explicitPython: settings.MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => note(`schemathesis: ${detail}`),
  });
  const undocumented = new Set<string>();
  const before = await answered(base);
  let now = before;
  for (let round = 0; now.all - before.all < WANTED && round < MOST_ROUNDS; round++) {
    const report = path.join(settings.MILLRACE_HOME, `report-${round}`);
    mkdirSync(report, { recursive: true });
    await schemathesis(path.join(venv.folder, 'bin', 'schemathesis'), base, report, Number(options.seed) + round);
    for (const failure of failuresIn(readFileSync(path.join(report, 'report.xml'), 'utf8'))) undocumented.add(failure);
    now = await answered(base);
    note(`${now.all - before.all} requests`);
  }
  for (const failure of undocumented) note(failure);
  return {
    requests: now.all - before.all,
    serverErrors: now.failed - before.failed,
    undocumented: undocumented.size,
    problems: now.failures,
  };
}

const describe = (door: string, { requests, serverErrors, undocumented }: Outcome) =>
  `${door}: ${requests} requests, ${serverErrors} server errors, ${undocumented} kinds of answers that are not documented`;

function schemathesis(command: string, base: string, report: string, seed: number): Promise<void> {
  const args = ['run', `${base}/openapi.json`, '--seed', String(seed), '--max-examples', String(CASES)];
  args.push(
    '--phases',
    'examples,coverage,fuzzing',
    '--checks',
    CHECKS.join(','),
    '--continue-on-failure',
    '--no-shrink',
  );
  args.push('--request-timeout', String(ANSWER_S), '--suppress-health-check', 'all', '--warnings', 'off');
  args.push('--report', 'junit', '--report-junit-path', path.join(report, 'report.xml'), '--no-color');
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: report });
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output = (output + text).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // 1: there were failures, listed in the report.
    child.on('exit', (code) =>
      code === 0 || code === 1 ? resolve() : reject(new Error(`schemathesis ended with ${code}:\n${output}`)),
    );
  });
}

try {
  process.exitCode = await main();
} finally {
  await down(settings);
}
