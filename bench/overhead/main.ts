/**
 * What Millrace adds to Temporal: the same four empty stages as a pipeline and as a hand-written workflow with four
 * activities, run in turn against one server from one process. Prints medians, their ratios and the machine's load.
 *
 *   npm run bench:overhead [-- --json] [--rounds N]
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { createActivities } from '../../activities/activity.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { RunContext } from '../../pipelines/plan/index.js';
import { place } from '../../placement/place.js';
import { workflowSource } from '../../workers/bundle.js';
import { composeStages } from '../../workers/compose.js';
import { readSettings } from '../../workers/settings.js';
import { down, up } from '../../workers/stack/index.js';
import type { EmptyActivities } from './hand-written.js';
import { fourEmptyInline, fourEmptyQueued } from './pipelines.js';

/** The bench's own stack, apart from a demo's and the tests'. */
const settings = readSettings({
  MILLRACE_HOME: '.millrace/bench',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: '7550',
  MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
});
const { values: options } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '6' } },
});
const ROUNDS = Number(options.rounds);
const WARM_UP = 20;
/** A run that cannot end must not hold the bench up for ever. */
const RUN_TIMEOUT_MS = 60_000;
const RUNS_A_ROUND = { 1: 20, 16: 64 } as const;

type Start = () => Promise<unknown>;
interface Figures {
  millraceMs: number;
  handWrittenMs: number;
  ratio: number;
}

const note = (text: string) => void process.stderr.write(`${text}\n`);
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const round = (value: number, digits: number) => Number(value.toFixed(digits));

/** Latency of each of `count` runs, `inFlight` at a time. */
async function measure(start: Start, count: number, inFlight: number): Promise<number[]> {
  const taken: number[] = [];
  let left = count;
  const lane = async () => {
    while (left-- > 0) {
      const began = performance.now();
      await start();
      taken.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return taken;
}

/** The two in turn, round by round, so that drift of the machine's speed meets both. */
async function compare(millrace: Start, handWritten: Start, inFlight: 1 | 16): Promise<Figures> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const turns: [Start, number[]][] = [
      [millrace, ours],
      [handWritten, theirs],
    ];
    for (const [start, into] of i % 2 === 0 ? turns : turns.reverse())
      into.push(...(await measure(start, RUNS_A_ROUND[inFlight], inFlight)));
  }
  const figures = { millraceMs: round(median(ours), 1), handWrittenMs: round(median(theirs), 1) };
  return { ...figures, ratio: round(median(ours) / median(theirs), 3) };
}

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  note('starting Temporal and Redis');
  const endpoints = await up({ settings, parts: ['temporal', 'redis'] });
  // Log lines are made as in production and thrown away.
  const stages = await composeStages(settings, pino({ level: 'info' }, pino.destination('/dev/null')));
  const connection = await NativeConnection.connect({ address: endpoints.temporal });
  const common = { connection, maxConcurrentActivityTaskExecutions: 32, maxConcurrentLocalActivityExecutions: 32 };
  const ours = await Worker.create({
    ...common,
    ...workflowSource(),
    taskQueue: 'ours',
    activities: createActivities(stages.runner),
  });
  const same = async (input: { n: number }) => input;
  const activities: EmptyActivities = { first: same, second: same, third: same, fourth: same };
  const workflowsPath = fileURLToPath(new URL('./hand-written.js', import.meta.url));
  const theirs = await Worker.create({ ...common, workflowsPath, taskQueue: 'theirs', activities });
  const running = [ours.run(), theirs.run()];
  const client = new Client({ connection: await Connection.connect({ address: endpoints.temporal }) });

  let serial = 0;
  const workflowId = () => `bench-${process.pid}-${serial++}`;
  const pipelineRun = ({ name, plan }: Pipeline): Start => {
    const context: RunContext = { plan, placement: place(plan, () => undefined, 'ours'), tenant: 'bench' };
    return () =>
      client.workflow.execute(name, {
        taskQueue: 'ours',
        workflowId: workflowId(),
        workflowRunTimeout: RUN_TIMEOUT_MS,
        args: [{ n: 1 }, context],
      });
  };
  const handRun =
    (name: string): Start =>
    () =>
      client.workflow.execute(name, {
        taskQueue: 'theirs',
        workflowId: workflowId(),
        workflowRunTimeout: RUN_TIMEOUT_MS,
        args: [{ n: 1 }],
      });
  const contests = {
    queued: [pipelineRun(fourEmptyQueued as Pipeline), handRun('handWrittenQueued')],
    inline: [pipelineRun(fourEmptyInline as Pipeline), handRun('handWrittenInline')],
  } as const;

  const results: Record<string, Record<string, Figures>> = {};
  for (const [execution, [millrace, handWritten]] of Object.entries(contests)) {
    for (const start of [millrace, handWritten]) await measure(start, WARM_UP, 4);
    results[execution] = {};
    for (const inFlight of [1, 16] as const) {
      note(`${execution}, ${inFlight} in flight`);
      results[execution][`c${inFlight}`] = await compare(millrace, handWritten, inFlight);
    }
  }
  ours.shutdown();
  theirs.shutdown();
  await Promise.all(running);
  await stages.close();
  report(results);
}

function report(results: Readonly<Record<string, Readonly<Record<string, Figures>>>>): void {
  const load = loadavg().map((value) => round(value, 2));
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ ...results, rounds: ROUNDS, runs: RUNS_A_ROUND, load })}\n`);
    return;
  }
  process.stdout.write('execution  in flight  Millrace ms  hand-written ms  ratio of medians\n');
  for (const [execution, figures] of Object.entries(results)) {
    for (const [inFlight, { millraceMs, handWrittenMs, ratio }] of Object.entries(figures)) {
      const cells = [
        execution.padEnd(9),
        inFlight.slice(1).padStart(9),
        String(millraceMs).padStart(11),
        String(handWrittenMs).padStart(15),
        String(ratio).padStart(16),
      ];
      process.stdout.write(`${cells.join('  ')}\n`);
    }
  }
  process.stdout.write(`medians of ${ROUNDS} interleaved rounds; load average ${load.join(', ')}\n`);
}

try {
  await main();
} finally {
  await down(settings);
}
