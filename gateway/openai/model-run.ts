import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CacheOutcome, TokenUsage } from '../../pipelines/run/index.js';
import { followAttended, runAttended } from '../../runs/attended.js';
import type { RunDocument } from '../../runs/document.js';
import type { Followed } from '../../runs/follow.js';
import type { Order } from '../../runs/order.js';
import { type CheckedInput, orderInput } from '../../runs/sent-input.js';
import type { StartedRun } from '../../runs/start.js';
import { callerOf, idempotencyKeyOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { leaving } from '../http/leaving.js';
import { asksFor, type Model, onlyOutputs } from './models.js';
import { RunTeller, type Told } from './told.js';

/**
 * Reads who asks and the headers of a request, before its body: what is wrong with them is told first. `orderOf` makes the order of its
 * run, whose stages are those that `fields` of the output need.
 */
export function readHeaders(request: FastifyRequest) {
  const caller = callerOf(request);
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const persistence = persistenceOf(request.headers);
  const orderOf = (model: Model, checked: CheckedInput, fields: readonly string[]): Order => {
    const order = { pipeline: model.pipeline, caller, idempotencyKey, ...persistence };
    const wanted = { options: onlyOutputs(model, fields), asks: asksFor(model, fields) };
    return { ...order, ...orderInput(checked, order), ...wanted };
  };
  return { caller, orderOf };
}

export interface Exchange {
  readonly deps: GatewayDeps;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Called as soon as the run has started; what follows waits for it. */
  readonly started?: (run: StartedRun) => Promise<void>;
  /** Aborts when the response is no longer wanted. Default: when the client disconnects. */
  readonly gone?: AbortSignal;
  /** It is not the request's first run, which the response names. */
  readonly isFurther?: boolean;
}

/**
 * Runs a pipeline and waits for its end. Throws the run's error. The run is cancelled if the client disconnects, since
 * it cannot fetch the result later, unless it has sent an idempotency key.
 */
export async function runToEnd(exchange: Exchange, order: Order): Promise<RunDocument> {
  const { deps, reply, started, gone = leaving(reply) } = exchange;
  let noted: Promise<void> | undefined;
  const begun = (run: StartedRun) => {
    noteFirst(exchange, run);
    noted = started?.(run);
  };
  try {
    return await runAttended(deps, interactive(order), { gone, started: begun });
  } finally {
    await noted;
  }
}

/** Every client of this door waits for its response, and the protocol has no priority. */
export const interactive = (order: Order): Order => ({
  ...order,
  options: { priority: 'interactive', ...order.options },
});

/** What is told of a run while it runs, or the document of the run. */
export type Piece = Told | { readonly document: RunDocument };

export interface StreamedRun {
  readonly run: StartedRun;
  readonly pieces: AsyncGenerator<Piece>;
}

/**
 * Like `runToEnd`, with the text as it is produced. Ending the iteration before the document cancels the run.
 * @param isRepeated the client gets the whole text from the document too: where a text differs from what was sent, the rest of it is not sent
 */
export async function runStreamed(
  exchange: Exchange,
  order: Order,
  model: Model,
  isRepeated = false,
): Promise<StreamedRun> {
  const { deps, reply, started: begun, gone = leaving(reply) } = exchange;
  const started = (run: StartedRun) => noteFirst(exchange, run);
  const { run, events } = await followAttended(deps, interactive(order), { gone, started });
  await begun?.(run);
  return { run, pieces: piecesOf(events, model, run.id, isRepeated) };
}

/** What a run's events tell as they arrive, then its document, whatever its end. */
export async function* piecesOf(
  events: AsyncGenerator<Followed>,
  model: Model,
  run: string,
  isRepeated = false,
): AsyncGenerator<Piece> {
  const teller = new RunTeller(model, run, isRepeated);
  for await (const each of events) {
    if ('document' in each) {
      const { document } = each;
      if (document.status === 'succeeded') yield* teller.end(document);
      yield { document };
      return;
    }
    yield* teller.of(each.event);
  }
}

function noteFirst({ request, reply, isFurther = false }: Exchange, run: StartedRun): void {
  if (!isFurther) note(request, reply, run);
}

export function note(request: FastifyRequest, reply: FastifyReply, { id, replayed }: StartedRun): void {
  request.notes.runId = id;
  reply.header('millrace-run', id);
  if (replayed) reply.header('idempotency-replayed', 'true');
}

/** Stages that made no call of their own. */
const FROM_CACHE: ReadonlySet<CacheOutcome> = new Set(['hit', 'shared']);

/** The tokens of all model calls of a run, of which an answer from a cache takes none; undefined if no model server reports usage. */
export function usageOf({ stages = [] }: RunDocument): { input: number; output: number } | undefined {
  const usages: TokenUsage[] = stages.flatMap(({ usage, cache = 'off' }) =>
    usage ? [usage] : FROM_CACHE.has(cache) ? [{}] : [],
  );
  if (usages.length === 0) return undefined;
  const sum = (key: 'inputTokens' | 'outputTokens') => usages.reduce((total, usage) => total + (usage[key] ?? 0), 0);
  return { input: sum('inputTokens'), output: sum('outputTokens') };
}

/** Tokens as OpenAI's routes tell them, all but that of chat completions. */
export const tokensBody = ({ input, output }: NonNullable<ReturnType<typeof usageOf>>) => ({
  input_tokens: input,
  output_tokens: output,
  total_tokens: input + output,
});
