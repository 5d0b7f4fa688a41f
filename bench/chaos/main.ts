/**
 * Runs of three pipelines while faults are injected into two workers, a gateway, Triton, the LLM server, Redis and
 * Temporal's connections. Every run must end in time, with its result or a code of the error table; no stage may start
 * again after its end was recorded, none may call its server more often than its policy allows, and a receiver outside
 * the stack counts repeated side effects.
 *
 *   npm run chaos [-- --runs 200] [--seed 1] [--faults all] [--json]
 *
 * Faults, of which `--faults` chooses some (`--faults flushed,full`), all or none: `kills`, both workers, Triton, the
 * LLM server and Redis get SIGKILL in turn; `calls`, 5 % of the models' calls are struck; the state store is `flushed`,
 * is `failed-over` without its last second, is `full`; one worker is cut off from Redis only (`redis-cut`) or from
 * Temporal only (`temporal-cut`); the `gateway` is killed between the hand-out of a run and its answer. Killed
 * processes are restarted. `all` excludes: the LLM server is away for a minute (`outage`), one LLM server of two fails
 * every call at once (`replica`), two people decide at once (`decisions`), another release with changed functions
 * replaces the running one, and back (`deploy`).
 *
 * Exit status 1 if a run was lost or hung, a stage or a side effect was repeated, or a policy was exceeded; without
 * faults also if a run failed.
 */
import { down } from '../../deploy/local/stack/index.js';
import { note } from '../figures.js';
import { parseOptions } from '../options.js';
import { faultsOf, incidentsOf, needsModels } from './faults.js';
import { Incidents, planIncidents } from './incidents.js';
import { runToExit } from './kill-bench.js';
import { Load } from './load.js';
import { type Details, type Totals, table } from './report.js';
import { Scene } from './scene.js';
import { Seeded } from './seeded.js';
import { settings } from './settings.js';
import { StruckCalls } from './struck-calls.js';
import type { Start } from './verdict.js';

const { values: options } = parseOptions({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'all' },
    json: { type: 'boolean' },
  },
});
const RUNS = Number(options.runs);
const SEED = Number(options.seed);
const FAULTS = faultsOf(options.faults);
const CALM = FAULTS.size === 0;
if (!Number.isInteger(RUNS) || RUNS < 1 || RUNS > 9_999) throw new Error('--runs is a whole number from 1 to 9999');
if (!Number.isInteger(SEED)) throw new Error('--seed is a whole number');

/** Share of the backends' calls that a fault strikes. */
const FAULT_RATE = FAULTS.has('calls') ? 0.05 : 0;
/** Runs per incident: enough for most of the damage to be repaired before the next one. */
const RUNS_AN_INCIDENT = 13;

const counter = () => {
  const counts = new Map<string, number>();
  return { counts, add: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1) };
};
let scene: Scene | undefined;
const stop = async (): Promise<void> => void (await (scene ? scene.close() : down(settings)));

async function main(): Promise<number> {
  // A stack left by an interrupted suite is not reused.
  await down(settings);
  const withModels = needsModels(FAULTS);
  note(`starting Temporal, Redis, ${withModels ? 'Triton, the LLM server, ' : ''}two workers and a gateway`);
  const attempts = counter();
  const calls: Start[] = [];
  const struckBy = (name: string) => new StruckCalls(FAULT_RATE, new Seeded(SEED, name));
  const models = withModels ? { triton: struckBy('Triton'), llm: struckBy('LLM') } : undefined;
  scene = await Scene.open({
    seed: SEED,
    models,
    withReplica: FAULTS.has('replica'),
    onCall: (start) => void calls.push(start),
    onFailedAttempt: (stage, code) => attempts.add(`${stage} ${code}`),
  });
  const withDecisions = FAULTS.has('decisions');
  const load = await Load.open({ scene, runs: RUNS, seed: SEED, withModels, withDecisions, note });
  const names = incidentsOf(FAULTS);
  const rounds = names.length === 0 ? 0 : Math.max(1, Math.round(RUNS / RUNS_AN_INCIDENT / names.length));
  const plan = planIncidents(names, RUNS, rounds, new Seeded(SEED, 'incidents'));
  const known = [...scene.incidents(() => load.handedOut())].filter(([name]) => names.includes(name));
  const incidents = new Incidents(plan, new Map(known), note);

  const began = Date.now();
  // Incidents must occur during runs, not after them: no run starts while more than one is due.
  const hold = () => incidents.behind(load.runs.length) > 1;
  await Promise.all([incidents.run(() => load.runs.length), load.carryOut(hold)]);
  const wallMs = Date.now() - began;
  for (const { died } of scene.processes) if (died !== undefined) throw new Error(died);

  const starts = [...calls, ...scene.receiver.effects];
  const verdicts = await load.judged(starts);
  const ended = load.runs.flatMap(({ outcome }) => outcome ?? []);
  const count = (kind: (typeof ended)[number]['kind']) => ended.filter((outcome) => outcome.kind === kind).length;
  const sum = (of: (verdict: (typeof verdicts)[number]) => number) => verdicts.reduce((all, each) => all + of(each), 0);
  const totals: Totals = {
    runs: RUNS,
    succeeded: count('succeeded'),
    failedWithCode: count('failed'),
    lost: count('lost'),
    hung: count('hung'),
    repeatedStages: sum(({ repeated }) => repeated.length),
    callsOverPolicy: sum(({ overPolicy }) => overPolicy.length),
    sideEffectsTwice: sum(({ twice }) => twice.length),
    underWayRepeated: sum(({ underWay }) => underWay),
  };
  const codes = counter();
  for (const outcome of ended) if (outcome.kind === 'failed') codes.add(outcome.code);
  const details: Details = {
    seed: SEED,
    incidents: incidents.done,
    struck: models ? { Triton: models.triton, 'the LLM server': models.llm } : {},
    attempts: attempts.counts,
    startsAgain: starts.length - new Set(starts.map(({ run, stage }) => `${run} ${stage}`)).size,
    codes: codes.counts,
    latencies: ended.flatMap((outcome) => (outcome.kind === 'succeeded' ? [outcome.ms] : [])),
    wallMs,
    replicaFailed: scene.replica?.failed,
  };
  await load.close();
  if (options.json) note(table(totals, details));
  process.stdout.write(options.json ? `${JSON.stringify(totals)}\n` : table(totals, details));
  const { lost, hung, repeatedStages, callsOverPolicy, sideEffectsTwice } = totals;
  const bad = lost + hung + repeatedStages + callsOverPolicy + sideEffectsTwice > 0;
  return bad || (CALM && totals.succeeded < RUNS) ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stop().finally(() => process.exit(130)));
}
await runToExit(main, stop);
