import { isErrorCode, MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type { CacheOutcome, StageCall, StageOutcome } from '../pipelines/plan/index.js';
import { STAGE_KINDS, type StageKindName } from '../pipelines/stages/index.js';
import type { CodeStage } from '../pipelines/stages/kind.js';
import type { SemanticCache } from './cache/index.js';
import type { AudioPort, Reply } from './connectors/connector.js';
import type { Logger } from './logger.js';
import type { Metrics } from './metrics.js';
import type { Pools } from './pools/index.js';

/** One attempt of a stage, as its host knows it. */
export interface Attempt {
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  readonly queueMs: number;
  /** The run's id, for log lines. */
  readonly run: string;
  /** What an earlier attempt handed to `checkpoint` last; null if nothing. */
  readonly resumeFrom: Json;
  checkpoint(progress: Json): void;
}

export interface StageRunnerParts {
  readonly pools: Pools;
  readonly cache: SemanticCache;
  readonly audioOf: (tenant: string) => AudioPort;
  readonly code: ReadonlyMap<string, CodeStage>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

interface Served {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
}

/** Runs one attempt of a stage: cache, model call, check of the answer. Every host of the interpreter runs stages through it. */
export class StageRunner {
  readonly #parts: StageRunnerParts;

  constructor(parts: StageRunnerParts) {
    this.#parts = parts;
  }

  /** Throws a `MillraceError`, or whatever aborted `attempt.signal`. */
  async run(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const { metrics, logger } = this.#parts;
    const started = performance.now();
    const fields = {
      run: attempt.run,
      pipeline: call.pipeline,
      stage: call.stage,
      tenant: call.tenant,
      model: call.model,
      attempt: attempt.attempt,
    };
    metrics.stageQueueSeconds.observe({ pipeline: call.pipeline, stage: call.stage }, attempt.queueMs / 1_000);
    const measure = (outcome: string): number => {
      const runMs = performance.now() - started;
      const { pipeline, stage, kind, model } = call;
      metrics.stageSeconds.observe({ pipeline, stage, kind, model, outcome }, runMs / 1_000);
      return Math.round(runMs);
    };
    try {
      const { cache, ...served } = await this.#throughCache(input, call, attempt);
      const runMs = measure('ok');
      logger.info(
        { ...fields, endpoint: served.endpoint, cache, queueMs: Math.round(attempt.queueMs), runMs },
        'stage done',
      );
      return { ...served, cache, attempt: attempt.attempt, queueMs: Math.round(attempt.queueMs), runMs };
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : attempt.signal.aborted ? 'aborted' : 'INTERNAL';
      const runMs = measure(code);
      logger.warn({ ...fields, code, error: messageOf(error), runMs }, 'stage attempt failed');
      throw error;
    }
  }

  async #throughCache(input: JsonObject, call: StageCall, attempt: Attempt): Promise<Served & { cache: CacheOutcome }> {
    if (!call.cache) return { ...(await this.#serve(input, call, attempt)), cache: 'off' };
    const { cache } = this.#parts;
    const model = await this.#identity(call, attempt);
    if (model === undefined) {
      this.#parts.metrics.cacheLookups.inc({ pipeline: call.pipeline, stage: call.stage, outcome: 'bypass' });
      return { ...(await this.#serve(input, call, attempt)), cache: 'bypass' };
    }
    let served: Served | undefined;
    const { output, outcome } = await cache.through(
      {
        tenant: call.tenant,
        pipeline: call.pipeline,
        stage: call.stage,
        kind: call.kind,
        model,
        context: { with: call.with, input: call.cache.context },
        key: call.cache.key,
        ttlMs: call.cache.ttlMs,
        minSimilarity: call.cache.minSimilarity,
        embedder: call.cache.embedder,
      },
      async () => {
        served = await this.#serve(input, call, attempt);
        return served.output;
      },
      attempt.signal,
    );
    return { endpoint: served?.endpoint ?? 'cache', device: served?.device ?? '', output, cache: outcome };
  }

  /** What the answer comes from, for the cache's key; undefined when the server does not say, which ends no run. */
  async #identity({ kind, model, stage }: StageCall, { signal, run }: Attempt): Promise<string | undefined> {
    if (kind === 'code') return model;
    const pool = this.#parts.pools.get(model);
    try {
      return await pool.identity(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#parts.logger.warn(
        { run, stage, model, error: messageOf(error) },
        'no cache for this call: its model is unknown',
      );
      return undefined;
    }
  }

  async #serve(input: JsonObject, call: StageCall, attempt: Attempt): Promise<Served> {
    if (!Object.hasOwn(STAGE_KINDS, call.kind)) {
      throw new MillraceError('UNKNOWN_PLAN_VERSION', `this worker does not know the stage kind "${call.kind}"`);
    }
    const kind = STAGE_KINDS[call.kind as StageKindName];
    if (call.kind === 'code') return this.#runCode(input, call, attempt.signal);
    check(kind.input.safeParse(input), 'INVALID_INPUT', call.stage);
    const { pools, metrics, audioOf } = this.#parts;
    const context = {
      signal: attempt.signal,
      audio: audioOf(call.tenant),
      checkpoint: attempt.checkpoint,
      ...(attempt.resumeFrom !== null && { resumeFrom: attempt.resumeFrom }),
    };
    const { reply, endpoint, device } = await pools.get(call.model).use(async (backend, at) => {
      const request = { kind: call.kind as StageKindName, model: at.model, with: call.with, input };
      return { reply: await backend.invoke(request, context), endpoint: at.url, device: at.device };
    }, attempt.signal);
    count(metrics, call.model, reply);
    check(kind.output.safeParse(reply.output), 'INVALID_OUTPUT', call.stage);
    return { output: reply.output, endpoint, device };
  }

  async #runCode(input: JsonObject, call: StageCall, signal: AbortSignal): Promise<Served> {
    const code = this.#parts.code.get(call.model);
    if (!code) throw new MillraceError('CODE_NOT_FOUND', `this worker has no code function "${call.model}"`);
    const checked = check(code.input.safeParse(input), 'INVALID_INPUT', call.stage);
    let output: unknown;
    try {
      output = await code.run(checked, { signal });
    } catch (error) {
      if (signal.aborted || error instanceof MillraceError) throw error;
      // A function may throw any error whose `code` is one of the table's to say whether a retry makes sense.
      const own = (error as { code?: unknown } | null)?.code;
      throw new MillraceError(isErrorCode(own) ? own : 'CODE_FAILED', messageOf(error), {}, { cause: error });
    }
    return {
      output: check(code.output.safeParse(output), 'INVALID_OUTPUT', call.stage) as JsonObject,
      endpoint: 'worker',
      device: 'worker',
    };
  }
}

type Parsed =
  | { success: true; data: unknown }
  | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } };

function check(parsed: Parsed, code: 'INVALID_INPUT' | 'INVALID_OUTPUT', stage: string): unknown {
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }));
  throw new MillraceError(code, fields.map((f) => `${f.field}: ${f.message}`).join('; '), { fields, stage });
}

function count(metrics: Metrics, model: string, { usage = {} }: Reply): void {
  const { inputTokens, outputTokens, audioSeconds } = usage;
  for (const [unit, amount] of Object.entries({
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    audio_seconds: audioSeconds,
  })) {
    if (amount !== undefined) metrics.usage.inc({ model, unit }, amount);
  }
}
