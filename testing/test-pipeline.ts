import type { Pipeline } from '../pipelines/definition/index.js';
import { type Duration, durationMs } from '../pipelines/duration.js';
import type { ErrorDetails } from '../pipelines/errors.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import type { JsonObject } from '../pipelines/json.js';
import type { Priority } from '../pipelines/plan/index.js';
import type { RunContext, RunEvent, StageRecord } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { runInProcess } from '../workers/hosts/in-process-host.js';
import { type DecisionScript, ScriptedWaits } from './decisions.js';
import { checkNames, namesOf } from './names.js';
import { placedAt } from './rows.js';
import { ScriptedRunner, type TestCall } from './runner.js';
import { Answers, type Script } from './scripts.js';
import { TestError } from './test-error.js';
import { VirtualClock } from './virtual-clock.js';

/** Scripts and options of `testPipeline`. */
export interface TestOptions {
  /** Answers by stage id, or by path: `'chunks[1]/embed'`, `'answer/turn-2'`. An agent's stage answers as its model. */
  readonly stages?: Readonly<Record<string, Script>>;
  /** Answers by the pool that stages name, for stages without their own. */
  readonly models?: Readonly<Record<string, Script>>;
  /** Results of an agent's tools by name. Tools without an entry run their functions. */
  readonly tools?: Readonly<Record<string, Script>>;
  /** What people decide, by stage id, path or tool. */
  readonly decisions?: Readonly<Record<string, DecisionScript>>;
  /** Default `default`. */
  readonly tenant?: string;
  readonly priority?: Priority;
  /** Output fields that the caller requests; stages needed only by other fields are skipped. Default: all. */
  readonly outputs?: readonly string[];
  /** Real time that a function may take. Default 4 s, less than the usual limit of a test. */
  readonly realLimit?: Duration;
}

/** A run that has ended. */
export interface TestRun<O> {
  readonly status: 'succeeded' | 'failed';
  /** Throws the run's error if it failed. */
  readonly output: O;
  readonly error?: TestRunError;
  /** The stage table, in the order of the plan. */
  readonly stages: readonly StageRecord[];
  /** Every call that the run made, retries included. */
  readonly calls: readonly TestCall[];
  /** The events that a client following the run gets. */
  readonly events: readonly RunEvent[];
  /** Duration on the test's clock, in milliseconds: with all waits, timeouts and `sleep`. */
  readonly durationMs: number;
}

/** How a run failed: as in its document. */
export interface TestRunError {
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
  readonly stage?: string;
  readonly details: ErrorDetails;
}

const PLACE = { connector: 'script', device: 'script', queue: 'test' } as const;
const REAL_LIMIT: Duration = '4s';

/**
 * Runs a pipeline without servers: scripts answer instead of model servers, other stages run as usual. Waits,
 * backoffs, timeouts and deadlines take no real time. Caches are empty.
 *
 * Throws `INVALID_INPUT` for an input that the pipeline does not accept, and a `TestError` for a mistake in the test,
 * such as a stage without a script. A failed run is a result: its `error` has the code.
 *
 * ```ts
 * const run = await testPipeline(greet, { name: 'Ada' }, {
 *   stages: { answer: [failure('BACKEND_OVERLOADED'), ({ prompt }) => ({ text: `You said: ${prompt}` })] },
 * });
 * run.output.text;
 * ```
 */
export async function testPipeline<I, O>(
  pipeline: Pipeline<I, O>,
  input: I,
  options: TestOptions = {},
): Promise<TestRun<O>> {
  const { stages = {}, models = {}, tools = {}, decisions = {}, realLimit = REAL_LIMIT } = options;
  checkOptions(pipeline, options);
  const clock = new VirtualClock(durationMs(realLimit, 'realLimit'));
  const events: RunEvent[] = [];
  const ending = new AbortController();
  let mistake: TestError | undefined;
  const onMistake = (made: TestError) => {
    mistake ??= made;
    ending.abort(made);
  };
  const onEvent = (event: RunEvent) => void events.push(event);
  const scripts = {
    stages: answersOf('stages', stages),
    models: answersOf('models', models),
    tools: answersOf('tools', tools),
  };
  const runner = new ScriptedRunner({ pipeline, scripts, clock, onEvent, onMistake });
  const waits = new ScriptedWaits(decisions, { clock, signal: ending.signal, onMistake });
  const context = contextOf(pipeline, options);
  const started = clock.now();
  let table: readonly StageRecord[] = [];
  const onReport = (rows: readonly StageRecord[]) => {
    table = rows;
  };
  const host = { runner, run: 'test', signal: ending.signal, waits, onReport, onEvent, clock };
  const settled = runInProcess(parsed(pipeline, input), context, host).then(
    ({ output }) => ({ output: output as O }),
    (error: unknown) => ({ error }),
  );
  const end = await clock.until(settled).catch((error: unknown) => ({ error: mistake ?? error }));
  // Whatever still works must not outlive the test.
  ending.abort(new TestError('the run has ended'));
  if (mistake) throw mistake;
  if ('error' in end && !(end.error instanceof StageError)) throw end.error;
  const failure = 'error' in end ? errorOf(end.error as StageError) : undefined;
  return {
    status: failure ? 'failed' : 'succeeded',
    get output(): O {
      if ('output' in end) return end.output;
      throw end.error;
    },
    ...(failure && { error: failure }),
    stages: table,
    calls: runner.calls,
    events,
    durationMs: clock.now() - started,
  };
}

const answersOf = (option: string, scripts: Readonly<Record<string, Script>>): ReadonlyMap<string, Answers> =>
  new Map(Object.entries(scripts).map(([name, script]) => [name, new Answers(`${option}.${name}`, script)]));

const KEYS: readonly string[] = [
  ...['stages', 'models', 'tools', 'decisions', 'tenant', 'priority', 'outputs', 'realLimit'],
];

function checkOptions({ plan }: Pick<Pipeline, 'plan'>, options: TestOptions): void {
  const { stages = {}, models = {}, tools = {}, decisions = {} } = options;
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new TestError(`"${unknown}" is not an option; the options are ${KEYS.join(', ')}`);
  const names = namesOf(plan);
  checkNames('stages', stages, names.stages);
  checkNames('models', models, names.models);
  if (names.moreTools) return;
  checkNames('tools', tools, names.tools);
  checkNames('decisions', decisions, [...names.stages, ...names.tools]);
}

function contextOf<I, O>({ plan }: Pipeline<I, O>, { tenant = 'default', priority, outputs }: TestOptions): RunContext {
  return {
    plan,
    placement: placedAt(plan, PLACE),
    tenant,
    ...(priority && { priority }),
    ...(outputs && { outputs }),
    events: true,
  };
}

function parsed<I, O>(pipeline: Pipeline<I, O>, input: I): JsonObject {
  const { error, data } = pipeline.input.safeParse(input);
  if (!error) return data as JsonObject;
  throw invalidFields(
    'INVALID_INPUT',
    error.issues.map(({ path, message }) => ({ field: path.join('.'), message })),
  );
}

function errorOf({ code, message, details }: StageError): TestRunError {
  const { stages: _, elsewhere, ...rest } = details;
  // Another worker's failure has it only to be tried again.
  const others: JsonObject = { ...rest, ...(elsewhere !== undefined && code !== 'ACTIVITY_FAILED' && { elsewhere }) };
  const { stage } = others;
  return { code, message, ...(typeof stage === 'string' && { stage }), details: others as ErrorDetails };
}
