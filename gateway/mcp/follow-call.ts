import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { followAttended } from '../../runs/attended.js';
import { type RunDocument, withoutPlace } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import { followRun, type Followed as RunFollowed } from '../../runs/follow.js';
import { readRun } from '../../runs/read.js';
import type { GatewayDeps } from '../deps.js';
import type { Asked } from './ask.js';
import type { NeedsInput, ToolCall } from './call.js';

/** How a call is followed. */
export interface Watch {
  /** Aborts when the caller cancels or disconnects. */
  readonly cancelled: AbortSignal;
  /** Aborts at shutdown: the run continues. */
  readonly closing: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started: (run: string) => void;
  /** Gets a message for the caller with its position in the run's events. Absent: not wanted. */
  readonly progress?: ((message: string, at: string) => Promise<void>) | undefined;
  /**
   * What happens when the run waits for a person: the call ends and says so, the caller is asked meanwhile, or, absent,
   * the call waits for a decision from elsewhere.
   */
  readonly onWait?: 'end' | ((run: string, wait: Asked) => Promise<void>) | undefined;
}

export type Followed = { readonly document: RunDocument } | NeedsInput;

/** Starts a run and follows it to its end, or to a wait. Throws the run's error. */
export async function startCall(
  deps: GatewayDeps,
  { tool, caller, persistence }: ToolCall,
  input: JsonObject,
  watch: Watch & { readonly idempotencyKey?: string },
): Promise<Followed> {
  const { cancelled, closing, started, idempotencyKey } = watch;
  if (cancelled.aborted) throw cancelledCall();
  let kept = false;
  const attendance = { gone: cancelled, closing, started: (run: { id: string }) => started(run.id), kept: () => kept };
  try {
    const { run, events } = await followAttended(
      deps,
      { pipeline: tool.pipeline, caller, input, idempotencyKey, ...persistence },
      attendance,
    );
    return await toItsEnd(events, run.id, watch, async (wait, after) => {
      kept = true;
      return { run: run.id, after, waits: await openWaits(deps, { caller }, run.id, wait) };
    });
  } catch (error) {
    throw asCancelled(error);
  }
}

/** Follows a run that has been started before, from a position on. Throws the run's error, and `RUN_NOT_FOUND`. */
export async function resumeCall(
  deps: GatewayDeps,
  { caller }: Pick<ToolCall, 'caller'>,
  { run, after }: { readonly run: string; readonly after: string },
  watch: Watch,
): Promise<Followed> {
  const { document } = await readRun(deps, run, caller);
  watch.started(run);
  if (document.status !== 'running') return ended(document);
  const { waiting = [] } = document;
  if (watch.onWait === 'end' && waiting.length > 0) return { run, after, waits: waiting };
  const leave = deps.streams.take(caller.tenant);
  const over = new AbortController();
  const end = () => over.abort();
  const signals = [watch.cancelled, watch.closing];
  for (const signal of signals) signal.aborted ? end() : signal.addEventListener('abort', end, { once: true });
  try {
    const events = followRun(deps, { id: run, caller }, { after, gone: over.signal });
    return await toItsEnd(events, run, watch, async (wait, at) => ({
      run,
      after: at,
      waits: await openWaits(deps, { caller }, run, wait),
    }));
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', end);
    leave();
  }
}

async function toItsEnd(
  events: AsyncIterable<RunFollowed>,
  run: string,
  { progress, onWait, closing }: Watch,
  stop: (wait: Asked, at: string) => Promise<NeedsInput>,
): Promise<Followed> {
  for await (const each of events) {
    if ('document' in each) return ended(each.document);
    const { event, id: at } = each;
    const message = messageOf(event);
    if (message !== undefined) await progress?.(message, at);
    if (event.type !== 'stage.waiting') continue;
    if (onWait === 'end') return await stop(event, at);
    await onWait?.(run, event);
  }
  if (closing.aborted) {
    const message = `this gateway is shutting down; the run continues: /v1/runs/${run}`;
    throw new MillraceError('GATEWAY_UNAVAILABLE', message);
  }
  throw new MillraceError('REQUEST_ABORTED', 'the caller left before the run had ended');
}

/** All open waits, so that they are asked together; the one that is known where no worker can be asked. */
async function openWaits(deps: GatewayDeps, { caller }: Pick<ToolCall, 'caller'>, run: string, known: Asked) {
  const { waiting = [] } = (await readRun(deps, run, caller).catch(() => undefined))?.document ?? {};
  return waiting.length > 0 ? waiting : [known];
}

function ended(document: RunDocument): { readonly document: RunDocument } {
  if (document.status !== 'succeeded') throw failureOf(withoutPlace(document));
  return { document };
}

const cancelledCall = () => new MillraceError('RUN_CANCELLED', 'the call was cancelled');

/** In this protocol a client that disconnects has cancelled its call. */
const asCancelled = (error: unknown): unknown =>
  error instanceof MillraceError && error.code === 'REQUEST_ABORTED' ? cancelledCall() : error;

/** The progress message of an event, if it has one. The total is unknown: a plan has branches and loops. */
function messageOf(event: RunEvent): string | undefined {
  if (event.type === 'events.lost') return undefined;
  const { path } = event;
  switch (event.type) {
    case 'stage.started':
      return `${path} started${event.attempt > 1 ? `, attempt ${event.attempt}` : ''}`;
    case 'stage.finished':
      return `${path} finished`;
    case 'stage.failed':
      return `${path} failed: ${event.code}`;
    case 'stage.waiting_for':
      return `${path} waits for ${event.model}`;
    case 'stage.waiting':
      return `${path} waits for a person: ${event.subject}`;
    case 'stage.decided':
      return `${path} was ${event.approved ? 'approved' : 'rejected'}`;
    default:
      return undefined;
  }
}
