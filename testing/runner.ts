import type { z } from 'zod';
import type { Backend, CallContext } from '../activities/connectors/connector.js';
import { resultKind } from '../activities/results/index.js';
import { CodeFunctions } from '../activities/stage/code-functions.js';
import { serveStage } from '../activities/stage/serve-stage.js';
import type { Attempt, ServingParts } from '../activities/stage/serving.js';
import { toolSearchKind } from '../activities/tool-search/index.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { durationMs } from '../pipelines/duration.js';
import { isAway, MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { bytesOf, MOST_BYTES, notJson } from '../pipelines/json-limits.js';
import {
  eventWithin,
  type RunEvent,
  type StageCall,
  type StageEvent,
  type StageOutcome,
} from '../pipelines/run/index.js';
import { traitsOf } from '../pipelines/stages/index.js';
import type { NamedCode } from '../pipelines/stages/kind.js';
import { streamedInputs } from '../pipelines/stream.js';
import { type Answered, serveForeign } from './foreign.js';
import { type Answer, Answers, Failure, Hang, type ScriptedCall, type ScriptFunction, Used } from './scripts.js';
import { TestError } from './test-error.js';
import { MemoryTexts } from './texts.js';
import type { Idle, VirtualClock } from './virtual-clock.js';
import { wordEmbedder } from './words.js';

/** The agents' search of tools. */
const searchByWords = toolSearchKind(() => wordEmbedder);

/** A call of a run, in the order in which they were made. A retried stage makes several. */
export interface TestCall {
  readonly stage: string;
  /** Position in the run: `chunks[3]/transcribe`, `answer/turn-2`. */
  readonly path: string;
  readonly kind: string;
  readonly model: string;
  /** Of an agent's tool call: the tool. */
  readonly tool?: string;
  readonly with: JsonObject;
  readonly input: JsonObject;
  /** From 1. */
  readonly attempt: number;
}

export interface Scripts {
  readonly stages: ReadonlyMap<string, Answers>;
  readonly models: ReadonlyMap<string, Answers>;
  readonly tools: ReadonlyMap<string, Answers>;
}

export interface RunnerParts {
  readonly pipeline: Pick<Pipeline, 'code' | 'kinds'>;
  readonly scripts: Scripts;
  readonly clock: VirtualClock;
  readonly onEvent: (event: RunEvent) => void;
  /** A mistake in the test, which ends the run. */
  readonly onMistake: (mistake: TestError) => void;
}

/**
 * Runs the stages of a test: input and output are checked as in a worker; what a stage calls is a script, or the
 * pipeline's own function.
 */
export class ScriptedRunner {
  readonly calls: TestCall[] = [];
  readonly #parts: RunnerParts;
  readonly #code: CodeFunctions;
  readonly #texts = new MemoryTexts();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#code = new CodeFunctions(parts.pipeline.code.values());
  }

  async run(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const { clock, onEvent } = this.#parts;
    const { stage, path = stage, kind, model } = call;
    const tool = toolOf(path);
    const of = { stage, path, attempt: attempt.attempt };
    const made = { kind, model, ...(tool !== undefined && { tool }), with: call.with, input };
    this.calls.push({ ...of, ...made });
    const waited = (attempt.tried?.waitedMs ?? 0) > 0;
    const publish = (event: StageEvent) =>
      onEvent(typeof call.events === 'object' ? eventWithin(event, call.events) : event);
    if (!waited) publish({ type: 'stage.started', ...of, kind, model });
    const started = clock.now();
    let hasText = call.muted === true;
    const onText = (text: string) => {
      if (text === '' || call.muted) return;
      hasText = true;
      publish({ type: 'stage.delta', ...of, text });
    };
    try {
      if (call.cache?.only) throw new MillraceError('NOT_CACHED', 'the cache of a test is empty');
      const served =
        traitsOf(call)?.servedBy === 'temporal'
          ? await serveForeign(input, call, attempt.signal, (given) =>
              this.#answer(call, attempt, this.#scriptOf(call), { input: given, signal: attempt.signal }),
            )
          : await serveStage(this.#serving(call, attempt), input, call, attempt, onText);
      // A function's output, and another worker's, may be any JSON.
      const { text } = (served.output as JsonObject | null) ?? {};
      if (!hasText && typeof text === 'string') onText(text);
      const runMs = clock.now() - started;
      const cache = call.cache ? 'miss' : 'off';
      publish({ type: 'stage.finished', ...of, cache, runMs });
      return { ...served, attempt: attempt.attempt, cache, queueMs: 0, runMs };
    } catch (error) {
      const { code, message } = publicFailure(error, attempt.signal);
      if (error instanceof MillraceError && isAway(error) && call.patienceMs !== 0 && !attempt.signal.aborted) {
        if (!waited) publish({ type: 'stage.waiting_for', ...of, model, code, message });
      } else publish({ type: 'stage.failed', ...of, code, message });
      throw error;
    }
  }

  /** What serves one call. */
  #serving(call: StageCall, attempt: Attempt): ServingParts {
    const { pipeline, clock } = this.#parts;
    const script = this.#scriptOf(call);
    const answer = (given: Given) => this.#answer(call, attempt, script, given);
    const invoke: Backend['invoke'] = async ({ input }, context) => {
      const { output, usage } = await answer({ input, ...context });
      return { output, ...(usage && { usage }) };
    };
    return {
      pools: {
        get: () => ({
          use: (work, { signal }) =>
            work(
              { invoke } as Backend,
              { model: call.model, kind: call.kind, url: 'script', device: 'script' },
              signal,
            ),
        }),
      },
      workerKinds: {
        get: (kind) =>
          kind === 'result'
            ? resultKind((tenant) => this.#texts.of(tenant))
            : kind === 'tool-search'
              ? searchByWords
              : async ({ input }, context) => (await answer({ input, ...context })).output,
      },
      code: { get: (name, version) => this.#function(this.#code.get(name, version), call, script, answer) },
      kinds: pipeline.kinds,
      audioOf: () => ({ read: noMedia, write: noMedia }),
      bytesOf: () => noMedia,
      artifactsOf: (tenant) => {
        const { write } = this.#texts.of(tenant);
        // Only long results of tools are stored: of a `fit`.
        return { read: noMedia, write: call.fit ? write : noMedia, readAudio: noMedia, writeAudio: noMedia };
      },
      conform: async (_, input) => input,
      metrics: { usage: { inc: () => undefined } },
      clock,
    };
  }

  /** The pipeline's own function, or its script under the function's schemas. */
  #function(
    own: NamedCode | undefined,
    call: StageCall,
    script: Answers | undefined,
    answer: (given: Given) => Promise<Answered>,
  ): NamedCode | undefined {
    if (own === undefined) return undefined;
    if (script) {
      return {
        ...own,
        run: async (given, context) => {
          const input = await withLists(own.input, given as JsonObject);
          const { output } = await answer({ input, ...context });
          return own.entry ? output.items : output;
        },
      };
    }
    const what = `the function "${call.model}"`;
    return {
      ...own,
      run: (input, context) =>
        this.#parts.clock.work(what, context.signal, async () => {
          const made = await own.run(input, context);
          return own.entry ? listOf(made, own.entry) : made;
        }),
    };
  }

  /**
   * Scripts are looked for by path, then by tool, or by stage and model. A conversation and the memory of a user are empty unless a path has them;
   * the tools of an MCP server have no name but the path of their list.
   */
  #scriptOf({ stage, path = stage, kind, model }: StageCall): Answers | undefined {
    const { stages, models, tools } = this.#parts.scripts;
    const tool = toolOf(path);
    const exact = stages.get(path) ?? stages.get(withoutDigest(path));
    if (exact) return exact;
    if (kind === 'session') return new Answers(path, { messages: [], parts: 0 });
    if (kind === 'memory')
      return (tool === undefined ? undefined : tools.get(tool)) ?? new Answers(path, { facts: [], text: 'Done.' });
    if (kind === 'mcp-tools') return undefined;
    return tool === undefined ? (stages.get(stage) ?? models.get(model)) : (tools.get(tool) ?? models.get(model));
  }

  async #answer(call: StageCall, attempt: Attempt, script: Answers | undefined, given: Given): Promise<Answered> {
    const { clock, onMistake } = this.#parts;
    const { stage, path = stage, kind, model, tenant } = call;
    const { input, signal, idempotencyKey = '', emit = () => undefined } = given;
    const act = async (idle: Idle): Promise<Answer> => {
      const next = nextAnswer(call, script);
      if (typeof next !== 'function') return next;
      const scripted: ScriptedCall = {
        ...{
          stage,
          path,
          kind,
          model,
          with: call.with,
          attempt: attempt.attempt,
          tenant,
          idempotencyKey,
          signal,
          emit,
        },
        sleep: (duration) =>
          idle(clock.sleep(durationMs(duration as Parameters<typeof durationMs>[0], 'sleep'), signal)),
      };
      return await (next as ScriptFunction)(input, scripted);
    };
    const answer = await clock.work(`the script of "${path}"`, signal, act).catch((error: unknown) => {
      if (error instanceof TestError) onMistake(error);
      throw error;
    });
    if (answer instanceof Failure) throw answer.error;
    if (answer instanceof Hang) {
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    }
    if (answer instanceof Used) return { output: outputOf(call, answer.output), usage: answer.usage };
    return { output: outputOf(call, answer) };
  }
}

/**
 * What a function yields, without readers that run beside it: in a test streams are lists. It ends with the entry with which it ends in a
 * worker: one that does not fit, or is one too many.
 */
async function listOf(made: unknown, entry: z.ZodType): Promise<unknown> {
  if (!isIterable(made)) return made;
  const all: unknown[] = [];
  let bytes = 0;
  for await (const each of made) {
    all.push(each);
    if (notJson(each) || !entry.safeParse(each).success) break;
    bytes += bytesOf(each as Json);
    if (bytes > MOST_BYTES) break;
  }
  return all;
}

const isIterable = (made: unknown): made is AsyncIterable<unknown> =>
  typeof made === 'object' && made !== null && (Symbol.asyncIterator in made || Symbol.iterator in made);

async function allOf(entries: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

/** The input as a script gets it: with lists where the function reads streams. */
async function withLists(schema: NamedCode['input'], input: JsonObject): Promise<JsonObject> {
  const fields = [...streamedInputs(schema).keys()];
  const lists = fields.map(async (field) => [field, await allOf(input[field] as unknown as AsyncIterable<unknown>)]);
  return { ...input, ...Object.fromEntries(await Promise.all(lists)) };
}

interface Given extends Partial<Pick<CallContext, 'emit' | 'idempotencyKey'>> {
  readonly input: JsonObject;
  readonly signal: AbortSignal;
}

/** The script of a tool is its result: of a function or an MCP server what it returns, of an API the response's body. */
function outputOf({ kind, path = '' }: StageCall, output: unknown): JsonObject {
  if (toolOf(path) === undefined) return output as JsonObject;
  if (kind === 'http') return { status: 200, body: output as Json };
  return (kind === 'code' || kind === 'mcp' ? { result: output } : output) as JsonObject;
}

function nextAnswer(call: StageCall, script: Answers | undefined): Answer | ScriptFunction {
  if (script) return script.next();
  throw new TestError(unscripted(call));
}

/** The tool of a call that an agent's model has requested. */
const toolOf = (path: string): string | undefined => /\/turn-\d+\/([^/:[]+)(?:\[\d+\])?:[0-9a-f]+$/.exec(path)?.[1];

/** The digest of a tool call's arguments is at the end of its path. */
const withoutDigest = (path: string): string => path.replace(/:[0-9a-f]{12}$/, '');

function unscripted(call: StageCall): string {
  const { stage, path = stage, kind, model } = call;
  const tool = toolOf(path);
  const name = (text: string) => (/^[a-z_$][\w$]*$/i.test(text) ? text : `'${text}'`);
  if (tool !== undefined) {
    return `the tool "${tool}" of the agent "${stage}" (${kind}) has no script; add tools: { ${name(tool)}: … }`;
  }
  const by = traitsOf(call)?.servedBy === 'pool' ? `, or models: { ${name(model)}: … }` : '';
  const where = kind === 'mcp-tools' ? path : stage;
  return `the stage "${path}" (${kind}, model "${model}") has no script; add stages: { ${name(where)}: … }${by}`;
}

/** The failure as followers of the run see it. */
function publicFailure(error: unknown, signal: AbortSignal): { readonly code: string; readonly message: string } {
  const known = [signal.aborted ? signal.reason : undefined, error].find((each) => each instanceof MillraceError);
  if (known) return { code: known.code, message: known.message };
  return signal.aborted
    ? { code: 'RUN_CANCELLED', message: 'the stage was aborted' }
    : { code: 'INTERNAL', message: messageOf(error) };
}

function noMedia(): never {
  throw new TestError('a test has no media store: scripts give and take audio and images as artifacts');
}
