/**
 * Runs of a six-stage pipeline while two workers, Triton, the LLM server and Redis are killed with SIGKILL and come back, and
 * a TCP proxy in front of Triton and the LLM server strikes 5 % of their calls. Every run has to end in time, with its result
 * or a code of the error table; no stage whose end was recorded may start again, and none may call its server more often than
 * its policy says.
 *
 *   npm run chaos [-- --runs 200] [--seed 1] [--faults none] [--json]
 *
 * Exit status 1 when a run was lost or hung, a stage repeated or a policy exceeded; without faults also when a run failed.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { createConnectors } from '../../activities/connectors/index.js';
import { place } from '../../placement/place.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { down, up } from '../../workers/stack/index.js';
import { Faults } from './faults.js';
import { Killer, planKills, VICTIMS } from './kills.js';
import { sixStages } from './pipelines.js';
import { FaultyProxy } from './proxy.js';
import { type Details, type Totals, table } from './report.js';
import { carryOut, completedStages, type Outcome } from './runs.js';
import { Seeded } from './seeded.js';
import { PROXY_PORTS, settings } from './settings.js';
import { openSpeech } from './speech.js';
import { judge, type Start } from './verdict.js';
import { ChaosWorker } from './worker.js';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'all' },
    json: { type: 'boolean' },
  },
});
const RUNS = Number(options.runs);
const SEED = Number(options.seed);
const CALM = options.faults === 'none';
if (!Number.isInteger(RUNS) || RUNS < 1 || RUNS > 9_999) throw new Error('--runs is a whole number from 1 to 9999');
if (!Number.isInteger(SEED)) throw new Error('--seed is a whole number');
if (!CALM && options.faults !== 'all') throw new Error('--faults is "all" or "none"');

/** Share of the backends' calls that a fault strikes. */
const FAULT_RATE = 0.05;
/** Enough to have runs in every stage at each kill; more would only wait for two cores. */
const IN_FLIGHT = 12;
/** A kill for about this many runs: between two of them most of what was killed has come back. */
const RUNS_A_KILL = 13;
const LOOK_MS = 50;
const TENANT = 'chaos';
const QUEUE = settings.MILLRACE_TASK_QUEUE;

const note = (text: string) => void process.stderr.write(`${text}\n`);
const counter = () => {
  const counts = new Map<string, number>();
  return { counts, add: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1) };
};

const attempts = counter();
const workers = (['worker-a', 'worker-b'] as const).map(
  (name) => new ChaosWorker(name, (stage, code) => attempts.add(`${stage} ${code}`)),
);
const proxies: FaultyProxy[] = [];

async function stop(): Promise<void> {
  await Promise.all(workers.map((worker) => worker.kill()));
  for (const proxy of proxies) proxy.close();
  await down(settings);
}

async function main(): Promise<number> {
  // What an interrupted suite has left up is not what this one starts.
  await down(settings);
  note('starting Temporal, Redis, Triton, the LLM server and two workers');
  const { temporal } = await up({ settings });
  const seen: Start[] = [];
  const onCall = (start: Start) => void seen.push(start);
  const rate = CALM ? 0 : FAULT_RATE;
  const faults = {
    Triton: new Faults(rate, new Seeded(SEED, 'Triton')),
    'the LLM server': new Faults(rate, new Seeded(SEED, 'LLM')),
  };
  proxies.push(
    await FaultyProxy.open({
      port: PROXY_PORTS.triton,
      target: settings.MILLRACE_TRITON_GRPC_PORT,
      protocol: 'http2',
      faults: faults.Triton,
      onCall,
    }),
    await FaultyProxy.open({
      port: PROXY_PORTS.llm,
      target: settings.MILLRACE_LLM_PORT,
      protocol: 'http1',
      faults: faults['the LLM server'],
      onCall,
    }),
  );
  await Promise.all(workers.map((worker) => worker.start()));
  const client = new Client({ connection: await Connection.connect({ address: temporal }) });
  const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
  const placement = place(sixStages.plan, poolOf, QUEUE);
  const speechOf = await openSpeech(TENANT);
  const log = path.join(settings.MILLRACE_HOME, 'starts.jsonl');
  mkdirSync(path.dirname(log), { recursive: true });
  rmSync(log, { force: true });

  const began = Date.now();
  const idOf = (number: number) => `chaos-${SEED}-${began.toString(36)}-${number}`;
  const rounds = CALM ? 0 : Math.max(1, Math.round(RUNS / RUNS_A_KILL / VICTIMS.length));
  const killer = new Killer(planKills(RUNS, rounds, new Seeded(SEED, 'kills')), workers, note);
  const outcomes = new Map<number, Outcome>();
  let started = 0;
  const lane = async () => {
    for (;;) {
      // The kills have to fall on runs, not behind them: nothing starts while more than one of them is due.
      while (killer.behind(started) > 1) await sleep(LOOK_MS);
      if (started >= RUNS) return;
      const number = started++;
      const speech = await speechOf(number);
      const run = { number, workflowId: idOf(number), speech, log, queue: QUEUE, placement, tenant: TENANT };
      const outcome = await carryOut(client, run);
      outcomes.set(number, outcome);
      if (outcome.kind !== 'succeeded') note(`run ${number}: ${JSON.stringify(outcome)}`);
      if (outcomes.size % 20 === 0) note(`${outcomes.size} of ${RUNS} runs have ended`);
    }
  };
  await Promise.all([killer.run(() => started), ...Array.from({ length: Math.min(IN_FLIGHT, RUNS) }, lane)]);
  const wallMs = Date.now() - began;
  for (const { died } of workers) if (died !== undefined) throw new Error(died);

  const starts = [...seen, ...startsIn(log)];
  let repeatedStages = 0;
  let callsOverPolicy = 0;
  for (const number of outcomes.keys()) {
    const { repeated, overPolicy } = judge({
      stages: sixStages.plan.stages.map((stage) => ({ id: stage.id, attempts: attemptsOf(stage) })),
      starts: starts.filter(({ run }) => run === number),
      completed: await completedStages(client, idOf(number)),
    });
    for (const stage of repeated) note(`run ${number}, ${idOf(number)}: "${stage}" started again after its end`);
    for (const stage of overPolicy) note(`run ${number}, ${idOf(number)}: "${stage}" called more often than allowed`);
    repeatedStages += repeated.length;
    callsOverPolicy += overPolicy.length;
  }
  const ended = [...outcomes.values()];
  const count = (kind: Outcome['kind']) => ended.filter((outcome) => outcome.kind === kind).length;
  const totals: Totals = {
    runs: RUNS,
    succeeded: count('succeeded'),
    failedWithCode: count('failed'),
    lost: count('lost'),
    hung: count('hung'),
    repeatedStages,
    callsOverPolicy,
  };
  const codes = counter();
  for (const outcome of ended) if (outcome.kind === 'failed') codes.add(outcome.code);
  const details: Details = {
    seed: SEED,
    kills: killer.done,
    faults,
    attempts: attempts.counts,
    startsAgain: starts.length - new Set(starts.map(({ run, stage }) => `${run} ${stage}`)).size,
    codes: codes.counts,
    latencies: ended.flatMap((outcome) => (outcome.kind === 'succeeded' ? [outcome.ms] : [])),
    wallMs,
  };
  await client.connection.close();
  if (options.json) note(table(totals, details));
  process.stdout.write(options.json ? `${JSON.stringify(totals)}\n` : table(totals, details));
  const bad = totals.lost + totals.hung + repeatedStages + callsOverPolicy > 0;
  return bad || (CALM && totals.succeeded < RUNS) ? 1 : 0;
}

const attemptsOf = (step: (typeof sixStages.plan.stages)[number]): number =>
  'policy' in step ? step.policy.retry.attempts : 1;

const startsIn = (file: string): Start[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Start);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stop().finally(() => process.exit(130)));
}
try {
  process.exitCode = await main();
} finally {
  await stop();
}
