/**
 * Loss of a device under load. Three stages with models that take a fixed time per batch, placed by `millrace place` on
 * four nodes, each with its own Triton and worker; runs arrive at the rate that they were placed for. Then a node's
 * processes are killed. The bench shows that no run is lost, the runs per second before and after next to the
 * placement's predictions, and what `millrace replan` proposes.
 *
 *   npm run bench:device-lost [-- --json]
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { down, up } from '../../deploy/local/stack/index.js';
import { CLI_MAIN, RECIPE } from '../../deploy/local/stack/paths.js';
import { preparePrograms } from '../../deploy/local/stack/python.js';
import { type PlacementDocument, readPlacement } from '../../placement/document/index.js';
import { note } from '../figures.js';
import { parseOptions } from '../options.js';
import { Load } from './load.js';
import { Node } from './node.js';
import { environment, settingsWith } from './settings.js';
import { FILES, MAX_BATCH, NODES, RATE, SLO_MS } from './workload.js';

const { values: options } = parseOptions({ options: { json: { type: 'boolean' } } });
/** Milliseconds of each phase: until queues have settled, then measured. */
const PARTS = { warmUp: 15_000, before: 45_000, settle: 10_000, after: 45_000 } as const;
/** Seed of the arrivals. */
const SEED = 1;

const round = (value: number): number => Math.round(value * 100) / 100;
const settings = settingsWith();
const folder = path.resolve(settings.MILLRACE_HOME, 'files');
const files = ['--cluster', 'cluster.yaml', '--profiles', 'profiles', '--pipeline', 'pipeline.json'];
const own = {
  MILLRACE_MODELS: path.join(folder, 'models.json'),
  MILLRACE_PLACEMENT: path.join(folder, 'placement.json'),
};

function write(name: string, value: unknown): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(value, null, 2));
}

async function millrace(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, ...environment, ...own };
  return (await promisify(execFile)(process.execPath, [CLI_MAIN, ...args], { env, cwd: folder, maxBuffer: 2 ** 26 }))
    .stdout;
}

/** Of the devices whose loss leaves a valid placement, the one with the greatest impact. */
function worstLoss({ degraded }: PlacementDocument) {
  const left = degraded.flatMap(({ without, predicted }) => (predicted ? [{ without, predicted }] : []));
  const [worst] = left.sort((a, b) => a.predicted.throughputPerSecond - b.predicted.throughputPerSecond);
  if (worst === undefined) throw new Error('the placement has no replicas: every device is needed');
  return worst;
}

async function main(): Promise<void> {
  await down(settings);
  for (const [name, value] of Object.entries(FILES)) write(name, value);
  const options = ['--rate', String(RATE), '--slo-p99', `${SLO_MS}ms`, '--json'];
  const placement = readPlacement(await millrace('place', ...files, ...options));
  const worst = worstLoss(placement);
  note(
    placement.pools
      .map(({ model, replicas }) => `${model} on ${replicas.flatMap(({ devices }) => devices).join(', ')}`)
      .join('; '),
  );
  const nodes = NODES.map((_, i) => new Node(i));
  const endpointsOf = (model: string) =>
    nodes.flatMap(({ address: url, device }) =>
      placement.pools.some((pool) => pool.model === model && pool.replicas.some(({ devices }) => devices[0] === device))
        ? [{ url, device, concurrency: 2 * MAX_BATCH }]
        : [],
    );
  const models = placement.pools.map(({ model }) => [
    model,
    { connector: 'triton', kind: 'infer', model, endpoints: endpointsOf(model) },
  ]);
  write('models.json', Object.fromEntries(models));
  note('starting Temporal, Redis, and a Triton and a worker on each node');
  const { temporal } = await up({ settings, parts: ['temporal', 'redis'] });
  const { MILLRACE_HOME: home, MILLRACE_VENV: venv, MILLRACE_PYTHON: explicitPython } = settings;
  const { triton } = await preparePrograms(['triton'], {
    ...{ home, venv: venv ?? path.join(home, 'venv'), recipe: RECIPE, explicitPython },
    ...{ env: process.env, onStep: note },
  });
  if (triton === undefined) throw new Error('there is no Triton');
  const connection = await Connection.connect({ address: temporal });
  try {
    for (const node of nodes) {
      await node.serve(triton, placement);
      await node.work(own);
    }
    write('placement.json', placement);
    const client = new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE });
    const load = new Load(client, settings.MILLRACE_TASK_QUEUE, placement);
    load.begin(SEED);
    await sleep(PARTS.warmUp);
    const from = performance.now();
    await sleep(PARTS.before);
    const lostAt = performance.now();
    const lost = nodes.find(({ device }) => device === worst.without);
    const pids = lost?.pids ?? [];
    note(`killing ${worst.without}: processes ${pids.join(', ')}`);
    await lost?.kill();
    await sleep(PARTS.settle);
    const settled = performance.now();
    await sleep(PARTS.after);
    const until = performance.now();
    const busy = loadavg().map(round);
    const found = JSON.parse(await millrace('replan', ...files, '--window', '30s', '--json'));
    note('waiting for the runs that have begun');
    await load.end();
    report({
      placement,
      worst,
      load,
      found,
      busy,
      before: load.between(from, lostAt),
      after: load.between(settled, until),
    });
  } finally {
    await Promise.all(nodes.map((node) => node.kill()));
    await connection.close();
  }
}

interface Outcome {
  readonly placement: PlacementDocument;
  readonly worst: ReturnType<typeof worstLoss>;
  readonly load: Load;
  readonly found: {
    readonly drift: readonly { readonly what: string; readonly of: string }[];
    readonly proposal: PlacementDocument | null;
    readonly refuseShare: number;
    readonly problem: string | null;
  };
  readonly busy: readonly number[];
  readonly before: ReturnType<Load['between']>;
  readonly after: ReturnType<Load['between']>;
}

const devicesOf = ({ pools }: PlacementDocument) =>
  Object.fromEntries(pools.map(({ model, replicas }) => [model, replicas.flatMap(({ devices }) => devices)]));

function report({ placement, worst, load, found, busy, before, after }: Outcome): void {
  const { predicted } = placement;
  const beside = (by: number, from: number) => ({
    predicted: round(from),
    measured: round(by),
    ratio: round(by / from),
  });
  const { proposal } = found;
  const figures = {
    runs: { started: load.began.length, completed: load.ended.length, lost: load.failures.length },
    placement: devicesOf(placement),
    before: {
      arrived: beside(before.arrived, RATE),
      throughput: beside(before.throughput, predicted.throughputPerSecond),
      p95Ms: beside(before.p95Ms, predicted.p95Ms),
    },
    lost: worst.without,
    after: {
      arrived: beside(after.arrived, RATE),
      throughput: beside(after.throughput, worst.predicted.throughputPerSecond),
    },
    replan: {
      drift: found.drift.map(({ what, of }) => `${what} ${of}`),
      proposal: proposal && {
        version: proposal.version,
        ratePerSecond: proposal.ratePerSecond,
        placement: devicesOf(proposal),
      },
      refuseShare: found.refuseShare,
      problem: found.problem,
    },
    load: busy,
  };
  if (options.json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return;
  }
  const row = (name: string, { predicted: p, measured: m, ratio }: ReturnType<typeof beside>, unit: string) =>
    process.stdout.write(`${name.padEnd(32)} predicted ${p} ${unit}, measured ${m} ${unit}: ${ratio} of it\n`);
  row('before, runs that arrive', figures.before.arrived, '/s');
  row('before, runs that end', figures.before.throughput, '/s');
  row('before, p95', figures.before.p95Ms, 'ms');
  row(`without ${worst.without}, runs that arrive`, figures.after.arrived, '/s');
  row(`without ${worst.without}, runs that end`, figures.after.throughput, '/s');
  const { started, completed, lost } = figures.runs;
  process.stdout.write(`${started} runs began, ${completed} completed, ${lost} were lost\n`);
  for (const failure of load.failures.slice(0, 3)) process.stdout.write(`  ${failure}\n`);
  process.stdout.write(`replan: ${figures.replan.drift.join('; ')}\n`);
  process.stdout.write(
    proposal
      ? `proposed ${proposal.version}: ${round(proposal.ratePerSecond)} runs a second, refuse ${round(100 * found.refuseShare)} % (${JSON.stringify(devicesOf(proposal))})\n`
      : `nothing proposed: ${found.problem}\n`,
  );
  process.stdout.write(`load average ${busy.join(', ')}\n`);
}

try {
  await main();
} finally {
  await down(settings);
}
