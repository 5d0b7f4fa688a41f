import type { AudioPort } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { mediaUses } from '../../pipelines/plan/index.js';
import { idempotencyKeyOf, type StageCall, type TokenUsage, type WholeResult } from '../../pipelines/run/index.js';
import { CALL_KINDS, changesElsewhere, type DefinedKinds, kindNamed } from '../../pipelines/stages/index.js';
import type { StageKind } from '../../pipelines/stages/kind.js';
import type { CallContext, Usage } from '../connectors/connector.js';
import type { Pool } from '../pools/index.js';
import { fitted, type ResultTexts } from '../results/index.js';
import { affinityOf, promptTextOf } from './affinity.js';
import { check } from './check.js';
import { watched } from './chunk-watch.js';
import { countableUsage } from './countable-usage.js';
import { lacking, lackOfKind } from './lack.js';
import { type Conversation, withinContext } from './overflow.js';
import { runCode } from './run-code.js';
import type { Attempt, ServingParts, Usages } from './serving.js';
import { jsonOf, keepable } from './stage-output.js';
import { traceparentOf } from './trace.js';
import type { WorkerKind } from './worker-kind.js';

/** An answer and its origin. */
export interface Served {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
  readonly conversions?: readonly string[];
  readonly hedged?: true;
  readonly usage?: TokenUsage;
  readonly whole?: WholeResult;
}

const IN_WORKER = { endpoint: 'worker', device: 'worker' } as const;

/** Called with each part of the reply's text as it arrives. */
type OnText = (delta: string) => void;
/** Called with what is done, from 0 to 1. */
type OnProgress = (share: number) => void;

/** Runs a stage as its kind requires: by a function of the worker, or by a model server of its pool. */
export async function serveStage(
  parts: ServingParts,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
  onText: OnText = () => undefined,
  onReasoning: OnText = () => undefined,
  onProgress: OnProgress = () => undefined,
): Promise<Served> {
  const kind = kindOf(parts.kinds, call);
  if (kind.servedBy !== 'pool') expectNext(parts.pools, call);
  const conversions = new Set<string>();
  const onConversion = (what: string) => void conversions.add(what);
  const kept = (output: JsonObject) =>
    fittedAndKeepable(output, call, () => parts.artifactsOf(call.tenant, onConversion, attempt.signal));
  if (call.kind === 'code') {
    const output = await runCode(parts, input, call, attempt, onConversion);
    return { ...(await kept(output)), ...IN_WORKER, ...(conversions.size > 0 && { conversions: [...conversions] }) };
  }
  if (kind.servedBy === 'temporal') {
    const message = `a stage of the kind "${call.kind}" runs only in a run of Temporal, on the queue of its worker`;
    throw new MillraceError('CAPABILITY_MISSING', message, { stage: call.stage });
  }
  const checked = check(kind.input, input, 'INVALID_INPUT', call.stage);
  const audioFor = (signal: AbortSignal) => parts.audioOf(call.tenant, onConversion, signal);
  const served =
    kind.servedBy === 'worker'
      ? await runInWorker(parts.workerKinds, kind, checked, call, {
          signal: attempt.signal,
          audio: audioFor(attempt.signal),
          idempotencyKey: idempotencyKeyOf(call, attempt.run),
          ...(attempt.mayBegin && changesElsewhere(call) && { mayBegin: attempt.mayBegin }),
          checkpoint: attempt.checkpoint,
          ...(attempt.resumeFrom !== null && { resumeFrom: attempt.resumeFrom }),
          ...(attempt.ask && { ask: attempt.ask }),
          ...(attempt.slot && { slot: attempt.slot }),
        })
      : await callPool(parts, kind, checked, call, attempt, {
          audioFor,
          onText,
          onReasoning,
          onProgress,
          onShortened: onConversion,
        });
  return {
    ...served,
    ...(await kept(served.output)),
    ...(conversions.size > 0 && { conversions: [...conversions] }),
  };
}

/** The output of a tool's call within its `fit`; in any case one that a run can store. */
async function fittedAndKeepable(
  output: JsonObject,
  call: StageCall,
  texts: () => ResultTexts,
): Promise<Pick<Served, 'output' | 'whole'>> {
  if (!call.fit) return { output: keepable(output, call.stage) };
  const { output: fits, whole } = await fitted(jsonOf(output, call.stage), call, texts);
  return { output: keepable(fits, call.stage), ...(whole && { whole }) };
}

/**
 * The kind of a call. Throws `KIND_NOT_FOUND` for one made with `defineKind` that this worker does not have, and for one of another
 * release, in the middle of a deploy: the call then waits for a worker that has it, and no attempt is used.
 */
export function kindOf(kinds: DefinedKinds | undefined, { kind }: Pick<StageCall, 'kind'>): StageKind {
  const known = kindNamed(kind, kinds);
  if (known) return known;
  if (Object.hasOwn(CALL_KINDS, kind)) return CALL_KINDS[kind as keyof typeof CALL_KINDS];
  throw lacking(lackOfKind(kind));
}

interface PoolCallParts {
  readonly audioFor: (signal: AbortSignal) => AudioPort;
  readonly onText: OnText;
  readonly onReasoning: OnText;
  readonly onProgress: OnProgress;
  /** Describes what of a conversation was left out. */
  readonly onShortened: (what: string) => void;
}

async function callPool(
  parts: ServingParts,
  kind: StageKind,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
  own: PoolCallParts,
): Promise<Served> {
  const send = (conversation: Conversation) =>
    callOnce(parts, kind, conversation.input, { ...call, with: conversation.with }, attempt, own);
  if (call.kind !== 'chat' || call.with.onOverflow === undefined) return send({ with: call.with, input });
  const spent: (TokenUsage | undefined)[] = [];
  const summarize = async (transcript: string) => {
    const { output, usage } = await callOnce(
      parts,
      kind,
      { prompt: transcript },
      { ...call, with: summaryOptions(call.with) },
      attempt,
      { ...own, onText: () => undefined, onReasoning: () => undefined },
    );
    spent.push(usage);
    return output.text as string;
  };
  const served = await withinContext({ with: call.with, input }, { send, summarize, onShortened: own.onShortened });
  const usage = [served.usage, ...spent].reduce(sumOf);
  return { ...served, ...(usage && { usage }) };
}

/** Options of the call that summarizes a conversation: without tools, schema or constraint. */
const summaryOptions = ({ extra, reasoningEffort, thinkingTokens }: JsonObject): JsonObject => ({
  system: 'Summarize the following conversation for its participants: facts, decisions and open questions, in short.',
  maxTokens: 256,
  temperature: 0,
  ...(extra !== undefined && { extra }),
  ...(reasoningEffort !== undefined && { reasoningEffort }),
  ...(thinkingTokens !== undefined && { thinkingTokens }),
});

function sumOf(a: TokenUsage | undefined, b: TokenUsage | undefined): TokenUsage | undefined {
  if (!a || !b) return a ?? b;
  const sum = (x: number | undefined, y: number | undefined) => (x ?? 0) + (y ?? 0);
  return { inputTokens: sum(a.inputTokens, b.inputTokens), outputTokens: sum(a.outputTokens, b.outputTokens) };
}

async function callOnce(
  { pools, metrics, bytesOf, artifactsOf, callbacks, clock }: ServingParts,
  kind: StageKind,
  input: JsonObject,
  call: StageCall,
  attempt: Attempt,
  { audioFor, onText, onReasoning, onProgress }: PoolCallParts,
): Promise<Served> {
  const { signal, resumeFrom } = attempt;
  const affinity = affinityOf(call, input);
  const context = {
    bytes: bytesOf(call.tenant),
    checkpoint: attempt.checkpoint,
    idempotencyKey: idempotencyKeyOf(call, attempt.run),
    tenant: call.tenant,
    ...(call.priority && { priority: call.priority }),
    traceparent: traceparentOf(attempt.run, idempotencyKeyOf(call, attempt.run), call.trace),
    ...(affinity !== undefined && { affinity: jsonHash({ tenant: call.tenant, affinity }) }),
    ...(attempt.endsAt !== undefined && { endsAt: attempt.endsAt }),
    ...(resumeFrom !== null && { resumeFrom }),
    ...(attempt.continued && { continued: attempt.continued }),
    ...(attempt.segments && { segments: attempt.segments }),
    ...(callbacks && { callbacks }),
    ...(attempt.whenKept && { whenKept: attempt.whenKept }),
  };
  const pool = pools.get(call.model);
  expectTaken(input, call, pool.modalities);
  const { reply, at, output } = await pool.use(
    async (backend, at, own) => {
      expectNext(pools, call);
      if (changesElsewhere(call)) await attempt.mayBegin?.();
      const request = { kind: call.kind, model: at.model, with: call.with, input };
      // A call's audio is released when the call ends, also for a hedge's loser and a stalled call, not only at the
      // attempt's end.
      const answer = (signal: AbortSignal, emit: CallContext['emit']) =>
        backend.invoke(request, {
          ...context,
          audio: audioFor(signal),
          artifacts: artifactsOf(call.tenant, () => undefined, signal),
          signal,
          think(text) {
            if (!call.hedge) onReasoning(text);
          },
          progress(share) {
            emit('');
            // Of a hedge's two calls the progress of both would go back and forth.
            if (!call.hedge) onProgress(share);
          },
          emit(chunk) {
            emit(chunk);
            // Of a hedge's two calls it is not yet known whose text counts.
            if (typeof chunk === 'string' && !call.hedge) onText(chunk);
          },
        });
      const reply = await watched(
        { ...call, emptyCounts: offersTools(call, input) || call.kind === 'generate' },
        own,
        answer,
        clock,
      );
      try {
        // Checked here, so that an answer that does not fit counts against its endpoint.
        return { reply, at, output: check(kind.output, reply.output, 'INVALID_OUTPUT', call.stage) };
      } catch (error) {
        // The next attempt would get the same answer again. What has had effects is not begun anew.
        if (!changesElsewhere(call)) attempt.checkpoint(null);
        throw error;
      }
    },
    {
      signal,
      tenant: call.tenant,
      priority: call.priority,
      hedge: call.hedge,
      affinity,
      prefix: pool.prefixOf?.(call.tenant, () => promptTextOf(call, input)),
      devices: attempt.devices,
      ...(resumeFrom !== null && { resumeFrom }),
      avoid: attempt.tried?.avoid,
      queueMs: queueLeft(call, attempt),
    },
  );
  const used = countableUsage(reply.usage);
  count(metrics, call.model, used);
  const usage = tokensOf(used);
  return {
    output,
    endpoint: at.url,
    device: at.device,
    ...(at.hedge && { hedged: true }),
    ...(usage && { usage }),
  };
}

/** The models of the stages after this one are loaded meanwhile, where workers load them on demand. */
function expectNext(pools: ServingParts['pools'], { next = [] }: StageCall): void {
  for (const model of next) {
    try {
      pools.get(model).expect?.();
    } catch {
      // This worker has no such pool any more; the stage says so if it comes here.
    }
  }
}

/** Throws `INVALID_INPUT` naming the first medium that the pool's model does not take. */
function expectTaken(input: JsonObject, { stage, model }: StageCall, taken: Pool['modalities']): void {
  if (taken === undefined) return;
  for (const { modality, field } of mediaUses(input)) {
    if (taken.includes(modality)) continue;
    const message = `the model of the pool "${model}" takes no ${modality}`;
    throw invalidFields('INVALID_INPUT', [{ field, message }], { stage });
  }
}

/** What remains of a stage's queue timeout, in milliseconds; the wait in Temporal's queue is part of it. */
export const queueLeft = ({ queueMs }: StageCall, attempt: Attempt): number | undefined =>
  queueMs === undefined ? undefined : Math.max(0, queueMs - attempt.queueMs);

const offersTools = ({ with: options }: StageCall, { tools = options.tools }: JsonObject): boolean =>
  Array.isArray(tools) && tools.length > 0;

async function runInWorker(
  kinds: ServingParts['workerKinds'],
  { output }: StageKind,
  input: JsonObject,
  call: StageCall,
  context: Parameters<WorkerKind>[1],
): Promise<Served> {
  const { kind, model, with: options, tenant, insertedBy, priority } = call;
  const run = kinds.get(kind);
  if (!run) throw new MillraceError('MODEL_NOT_CONFIGURED', `this worker cannot carry out ${kind} stages`);
  const by = { ...(insertedBy !== undefined && { insertedBy }), ...(priority && { priority }) };
  const given = await run({ model, with: options, input, tenant, ...by }, context);
  return { output: check(output, given, 'INVALID_OUTPUT', call.stage), ...IN_WORKER };
}

function tokensOf({ inputTokens, outputTokens }: Usage): TokenUsage | undefined {
  if (inputTokens === undefined && outputTokens === undefined) return undefined;
  return { ...(inputTokens !== undefined && { inputTokens }), ...(outputTokens !== undefined && { outputTokens }) };
}

function count(metrics: Usages, model: string, { inputTokens, outputTokens, audioSeconds }: Usage): void {
  for (const [unit, amount] of Object.entries({
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    audio_seconds: audioSeconds,
  })) {
    if (amount !== undefined) metrics.usage.inc({ model, unit }, amount);
  }
}
