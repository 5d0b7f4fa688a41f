import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../pipelines/json.js';
import type { RunContext, RunResult, SegmentOutcome, StageOutcome, StageRecord } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, interpretSegment, type RunHost } from '../../../workflows/interpreter/index.js';
import { changed } from '../../support/changed-host.js';
import { contextOfRun, differences, type Seen } from '../../support/random-plans/check.js';
import { hasStreams, type RandomRun, randomPlans, streamingPlans } from '../../support/random-plans/plan-of.js';
import { ScriptedRunner } from '../../support/random-plans/script.js';
import { evaluate } from '../../support/reference-evaluator.js';
import { referring } from '../../support/referring-host.js';

/** Plans a property is tried with: a thousand as they are, fewer of each other way to run them. Each takes some 10 ms. */
const RUNS = Number(process.env.MILLRACE_PROPERTY_RUNS ?? 1_000);
const STREAMED_RUNS = Number(process.env.MILLRACE_PROPERTY_RUNS ?? 60);
const OTHER_RUNS = Number(process.env.MILLRACE_PROPERTY_RUNS ?? 300);
const SEED = Number(process.env.MILLRACE_PROPERTY_SEED ?? 1);
const LIMIT_MS = 120_000;

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** Runs a plan on a host; `again` turns a run that stops for a new history into the context of the next. */
async function runOn(
  host: (runner: ScriptedRunner) => RunHost,
  random: RandomRun,
  again?: (carried: Json) => void,
  runner = new ScriptedRunner(),
): Promise<Seen> {
  let context: RunContext = contextOfRun(random, 'test');
  let stages: readonly StageRecord[] = [];
  try {
    for (;;) {
      const result = await interpret(random.input, context, host(runner));
      if (!('carried' in result)) {
        const { output, stages } = result as RunResult;
        return { output, stages, calls: runner.callsOf('r') };
      }
      again?.(result.carried as unknown as Json);
      // Through JSON, as a history would carry it.
      context = copy({ ...context, carried: { ...result.carried, decided: {} } });
    }
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    stages = (error.details.stages ?? []) as unknown as readonly StageRecord[];
    return { code: error.code, message: error.message, stages, calls: runner.callsOf('r') };
  }
}

const holds = (
  numRuns: number,
  seen: (random: RandomRun) => Promise<Seen>,
  endOnFailure = false,
  plans: fc.Arbitrary<RandomRun> = randomPlans,
) =>
  fc.assert(
    fc.asyncProperty(plans, async (random) => {
      fc.pre(plans === randomPlans || hasStreams(random));
      expect(differences(evaluate(random), await seen(random))).toEqual([]);
    }),
    { numRuns, seed: SEED, endOnFailure, interruptAfterTimeLimit: LIMIT_MS - 10_000, markInterruptAsFailure: true },
  );

const NOTHING: StageOutcome = {
  output: {},
  endpoint: '',
  device: '',
  attempt: 1,
  cache: 'off',
  queueMs: 0,
  runMs: 0,
};

const inProcess = (runner: ScriptedRunner): RunHost => new InProcessHost({ runner, run: 'r' });

const inSegments = (runner: ScriptedRunner): RunHost =>
  changed(inProcess(runner), (inner) => ({
    runSegment: async (segment) => copy(await interpretSegment(copy(segment), inner)),
  }));

/** Each segment is interrupted: with nothing of it done, or behind its first step. */
const interrupted =
  (behindFirst: boolean) =>
  (runner: ScriptedRunner): RunHost =>
    changed(inProcess(runner), (inner) => ({
      runSegment: async (segment): Promise<SegmentOutcome> => {
        if (!behindFirst) return { done: {}, rows: [], interrupted: true };
        // Other steps of the segment read the first one.
        const { wanted: _, ...own } = copy(segment);
        const outcome = copy(await interpretSegment({ ...own, steps: own.steps.slice(0, 1) }, inner));
        return outcome.failure ? outcome : { ...outcome, interrupted: true };
      },
    }));

/** As a workflow has it: the interpreter gets places of entries, and the calls read their values. */
const withPlaces =
  (segments: boolean) =>
  (runner: ScriptedRunner): RunHost =>
    referring(inProcess(runner), { runner, run: 'r', segments });

/** Runs over several histories: each looks a few times whether it is full. */
function inHistories(
  random: RandomRun,
  runner?: ScriptedRunner,
  host: (runner: ScriptedRunner) => RunHost = inProcess,
): Promise<Seen> {
  let histories = 1;
  return runOn(
    (own) => {
      // Enough looks for the loops around one another to start; more each time, so that the run goes on.
      let checks = 4 * histories;
      return changed(host(own), (inner) => ({
        full: () => checks-- <= 0,
        ...(inner.runSegment && { runSegment: inner.runSegment.bind(inner) }),
      }));
    },
    random,
    () => {
      histories += 1;
    },
    runner,
  );
}

describe('a random plan means what the reference says', () => {
  it('in one process', () => holds(RUNS, (random) => runOn(inProcess, random)), LIMIT_MS);

  it('with its inline steps in segments', () => holds(OTHER_RUNS, (random) => runOn(inSegments, random)), LIMIT_MS);

  it('over several histories', () => holds(OTHER_RUNS, (random) => inHistories(random)), LIMIT_MS);

  it.each([
    ['lost at once', false],
    ['lost behind their first step', true],
  ])(
    'over several histories, where the journals of its segments are %s',
    (_, behindFirst) => holds(OTHER_RUNS, (random) => inHistories(random, undefined, interrupted(behindFirst))),
    LIMIT_MS,
  );

  it.each<[string, (inner: RunHost) => Partial<RunHost>]>([
    [
      'gives another output',
      (inner) => ({
        runStage: async (...args) => {
          const outcome = await inner.runStage(...args);
          return { ...outcome, output: { ...outcome.output, n: -1 } };
        },
      }),
    ],
    [
      'calls a stage again',
      (inner) => ({ runStage: (...args) => inner.runStage(...args).then(() => inner.runStage(...args)) }),
    ],
    ['lets a failure pass', (inner) => ({ runStage: (...args) => inner.runStage(...args).catch(() => NOTHING) })],
  ])(
    'and a host that %s is noticed',
    async (_, change) => {
      const wrong = holds(OTHER_RUNS, (random) => runOn((runner) => changed(inProcess(runner), change), random), true);
      await expect(wrong).rejects.toThrow('Property failed');
    },
    LIMIT_MS,
  );
});

/** MILLRACE_PROPERTY_RUNS=1000 tries a thousand of each. */
describe('a random plan whose stages stream means what the reference says, which collects', () => {
  const streaming = () => new ScriptedRunner(new MemoryChannelLog());

  it.each<[string, (random: RandomRun) => Promise<Seen>]>([
    ['on a host without channels', (random) => runOn(inProcess, random)],
    ['in one process', (random) => runOn(inProcess, random, undefined, streaming())],
    ['with its inline steps in segments', (random) => runOn(inSegments, random, undefined, streaming())],
    ['over several histories', (random) => inHistories(random, streaming())],
    ['by places of entries', (random) => runOn(withPlaces(false), random, undefined, streaming())],
    ['by places of entries, with segments', (random) => runOn(withPlaces(true), random, undefined, streaming())],
    ['by places of entries, over several histories', (random) => inHistories(random, streaming(), withPlaces(false))],
  ])('%s', (_, seen) => holds(STREAMED_RUNS, seen, false, streamingPlans), LIMIT_MS);
});
