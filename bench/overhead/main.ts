/**
 * Millrace's overhead over Temporal, and what a segment saves: empty stages as a pipeline and as a hand-written
 * workflow, run in turn against one server, each worker in a process of its own so that its CPU time can be measured.
 * Prints medians, their ratios and the machine's load.
 *
 *   npm run bench:overhead [-- --json] [--rounds N] [--only segment] [--against FOLDER]
 *
 * `queued`   four queued stages against four activities
 * `guarded`  six queued stages with retry, timeouts and fallback against the same written by hand
 * `segment`  four inline stages against four queued activities
 * `http`     four inline stages by POST with `Prefer: wait`, 16 in flight, interactive and default priority: the whole way of a
 *            run through gateway and worker. With `--against` the same of another checkout that was built, in turn
 * `local`    one local activity written by hand against four queued activities: what no segment can exceed on this machine
 */
import { Client, Connection } from '@temporalio/client';
import { down, up } from '../../deploy/local/stack/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { RunContext } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { loadAverages, note } from '../figures.js';
import { parseOptions } from '../options.js';
import { type Contender, compare, type Figures, measure, RUNS_A_ROUND } from './contest.js';
import { compareHttp } from './http.js';
import { fourEmptyInline, fourEmptyQueued, sixGuarded } from './pipelines.js';
import { settings } from './settings.js';
import { Side } from './side.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '6' },
    only: { type: 'string' },
    against: { type: 'string' },
  },
});
const ROUNDS = Number(options.rounds);
const WARM_UP = 20;
/** A run that cannot end must not block the bench for ever. */
const RUN_TIMEOUT_MS = 60_000;

async function main(): Promise<void> {
  note('starting Temporal and Redis');
  const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'redis-index', 'redis-cache'] });
  const workers = options.only === 'http' ? {} : await compareWorkers(temporal);
  const http =
    options.only === undefined || options.only === 'http'
      ? await compareHttp(ROUNDS, options.against, note)
      : undefined;
  report(workers, http);
}

async function compareWorkers(temporal: string): Promise<Contests> {
  const [ours, theirs] = await Promise.all([Side.start('ours', temporal), Side.start('theirs', temporal)]);
  const client = new Client({ connection: await Connection.connect({ address: temporal }) });

  let serial = 0;
  const execute = (type: string, taskQueue: string, args: unknown[]) =>
    client.workflow.execute(type, {
      taskQueue,
      workflowId: `bench-${process.pid}-${serial++}`,
      workflowRunTimeout: RUN_TIMEOUT_MS,
      args,
    });
  const pipelineRun = ({ name, plan }: Pipeline): Contender => {
    const context: RunContext = { plan, placement: place(plan, () => undefined, 'ours'), tenant: 'bench' };
    return { start: () => execute(name, 'ours', [{ n: 1 }, context]), side: ours };
  };
  const handRun = (type: string): Contender => ({ start: () => execute(type, 'theirs', [{ n: 1 }]), side: theirs });
  const contests = {
    queued: [pipelineRun(fourEmptyQueued as Pipeline), handRun('handWrittenQueued')],
    guarded: [pipelineRun(sixGuarded as Pipeline), handRun('handWrittenGuarded')],
    segment: [pipelineRun(fourEmptyInline as Pipeline), handRun('handWrittenQueued')],
    local: [handRun('handWrittenLocal'), handRun('handWrittenQueued')],
  } as const;

  const results: Record<string, Record<string, Figures>> = {};
  for (const [name, [millrace, handWritten]] of Object.entries(contests)) {
    if (options.only !== undefined && options.only !== name) continue;
    for (const { start } of [millrace, handWritten]) await measure(start, WARM_UP, 4);
    results[name] = {};
    for (const inFlight of [1, 16] as const) {
      note(`${name}, ${inFlight} in flight`);
      results[name][`c${inFlight}`] = await compare(millrace, handWritten, inFlight, ROUNDS);
    }
  }
  await client.connection.close();
  await Promise.all([ours.stop(), theirs.stop()]);
  return results;
}

type Contests = Readonly<Record<string, Readonly<Record<string, Figures>>>>;

function report(results: Contests, http: Awaited<ReturnType<typeof compareHttp>> | undefined): void {
  const load = loadAverages();
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ ...results, ...(http && { http }), rounds: ROUNDS, runs: RUNS_A_ROUND, load })}\n`,
    );
    return;
  }
  const line = (cells: readonly (string | number)[]) =>
    `${cells.map((cell, i) => (i === 0 ? String(cell).padEnd(9) : String(cell).padStart(12))).join(' ')}\n`;
  process.stdout.write('medians, Millrace / written by hand\n');
  process.stdout.write(line(['', 'in flight', 'ms', 'ratio', 'runs/s', 'ratio', 'CPU ms']));
  for (const [name, figures] of Object.entries(results)) {
    for (const [inFlight, f] of Object.entries(figures)) {
      process.stdout.write(
        line([
          name,
          inFlight.slice(1),
          `${f.millraceMs}/${f.handWrittenMs}`,
          f.ratio,
          `${f.millraceRunsPerS}/${f.handWrittenRunsPerS}`,
          f.throughputRatio,
          `${f.millraceCpuMs}/${f.handWrittenCpuMs}`,
        ]),
      );
    }
  }
  if (http) {
    process.stdout.write(line(['http', 'runs/s', 'p50 ms', 'gateway', 'worker', 'temporal', 'redis', 'CPU ms a run']));
    for (const [name, rows] of Object.entries(http))
      for (const [priority, { runsPerS, p50Ms, cpuMs }] of Object.entries(rows))
        process.stdout.write(
          line([name, runsPerS, p50Ms, cpuMs.gateway, cpuMs.worker, cpuMs.temporal, cpuMs.redis, priority]),
        );
  }
  process.stdout.write(`${ROUNDS} interleaved rounds; load average ${load.join(', ')}\n`);
}

try {
  await main();
} finally {
  await down(settings);
}
