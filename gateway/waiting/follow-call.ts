import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { RunEvent, Wait } from '../../pipelines/run/index.js';
import { followAttended } from '../../runs/attended.js';
import { type RunDocument, withoutPlace } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import { followRun, type Followed as RunFollowed } from '../../runs/follow.js';
import { openWaitsOf } from '../../runs/open-waits.js';
import { pacedEvents } from '../../runs/paced-events.js';
import { readPaced } from '../../runs/paced-runs.js';
import type { OrderInput } from '../../runs/sent-input.js';
import { isBehind, START } from '../../stores/events/index.js';
import type { Caller } from '../access/caller.js';
import type { Persistence } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';

/** A call whose caller waits for the run. */
export interface WaitedCall {
  readonly pipeline: Pipeline;
  readonly caller: Caller;
  /** What the request's headers say about retries and about leaving. */
  readonly persistence: Persistence;
}

/** What a person is told of a wait. */
export type Asked = Pick<Wait, 'nonce' | 'subject' | 'call' | 'question' | 'session' | 'until' | 'shortened'>;

/** A call that cannot go on before its client’s user has answered. */
export interface NeedsInput {
  readonly run: string;
  /** Position in the run's events. */
  readonly after: string;
  readonly waits: readonly Asked[];
}

/** How a call is followed. */
export interface Watch {
  /** Aborts when the caller cancels or disconnects. */
  readonly cancelled: AbortSignal;
  /** Aborts at shutdown: the run continues. */
  readonly closing: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started: (run: string) => void;
  /** Gets each event with its position. Absent: not wanted. */
  readonly event?: ((event: RunEvent, at: string) => Promise<void> | void) | undefined;
  /** Of a call that is resumed from a position, `event` gets the events up to it too. */
  readonly replay?: boolean;
  /** Of a call that is resumed: its caller holds a slot for the wait already. */
  readonly holdsSlot?: boolean;
  /**
   * What happens when the run waits for a person: the call ends and says so, the caller is asked meanwhile, or, absent,
   * the call waits for a decision from elsewhere.
   */
  readonly onWait?: 'end' | ((run: string, wait: Asked) => Promise<void>) | undefined;
  /** Of a call that is resumed: nonces of the waits that its caller has just decided, which are not asked again. */
  readonly decided?: ReadonlySet<string> | undefined;
}

/** A position in a run's events. */
interface Position {
  readonly run: string;
  readonly after: string;
}

export type Followed = { readonly document: RunDocument } | NeedsInput;

/** Starts a run and follows it to its end, or to a wait. Throws the run's error. */
export async function startCall(
  deps: GatewayDeps,
  { pipeline, caller, persistence }: WaitedCall,
  input: OrderInput,
  watch: Watch & { readonly idempotencyKey?: string },
): Promise<Followed> {
  const { cancelled, closing, started, idempotencyKey } = watch;
  if (cancelled.aborted) throw cancelledCall();
  let kept = false;
  const attendance = { gone: cancelled, closing, started: (run: { id: string }) => started(run.id), kept: () => kept };
  try {
    const { run, events } = await followAttended(
      deps,
      { pipeline, caller, ...input, idempotencyKey, ...persistence },
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

/**
 * Follows a run that has been started before, from a position on. Throws the run's error, `RUN_NOT_FOUND`, and `RATE_LIMITED` while too many
 * large runs of the tenant are read, which a call that has just decided a wait is spared.
 * @param read the run, where the caller has just read it
 */
export async function resumeCall(
  deps: GatewayDeps,
  { caller }: Pick<WaitedCall, 'caller'>,
  { run, after, read }: Position & { readonly read?: RunDocument },
  watch: Watch,
): Promise<Followed> {
  const acts = watch.decided !== undefined && watch.decided.size > 0;
  const { cancelled: signal } = watch;
  const document = read ?? (await readPaced(deps, run, caller, acts ? { waits: 'no' } : { signal })).document;
  watch.started(run);
  if (document.status !== 'running') return ended(document);
  // Where no worker can be asked, the run's events tell of later waits.
  const waiting = watch.onWait === 'end' ? await openWaitsOf(deps, caller, document).catch(() => []) : [];
  // Also to read what is stored, which may take long where much of the tenant's is read.
  const leave = watch.holdsSlot ? undefined : deps.streams.take(caller.tenant);
  const over = new AbortController();
  const end = () => over.abort();
  const signals = [watch.cancelled, watch.closing];
  for (const signal of signals) signal.aborted ? end() : signal.addEventListener('abort', end, { once: true });
  try {
    if (waiting.length > 0)
      return {
        run,
        after: await toldByNow(deps, { run, after, caller, gone: over.signal }, watch, waiting),
        waits: waiting,
      };
    const { replay = false } = watch;
    const events = followRun(deps, { id: run, caller }, { after: replay ? START : after, gone: over.signal });
    return await toItsEnd(events, run, { ...watch, ...(replay && { after }) }, async (wait, at) => ({
      run,
      after: at,
      waits: await openWaits(deps, { caller }, run, wait),
    }));
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', end);
    leave?.();
  }
}

/**
 * Tells the events that are stored by now, without waiting for more. Returns the position of the last one: later waits come behind it, and so
 * does the first wait that is not among those that are asked now.
 */
async function toldByNow(
  deps: GatewayDeps,
  { run, after, caller, gone }: Position & { readonly caller: Caller; readonly gone: AbortSignal },
  { event: tell, replay = false, decided, closing }: Watch,
  asked: readonly Asked[],
): Promise<string> {
  const known = new Set(asked.map(({ nonce }) => nonce));
  let reached = after;
  const stored = { id: run, tenant: caller.tenant, after: replay ? START : after };
  try {
    for await (const { event, id: at } of pacedEvents(deps, stored, { over: AbortSignal.abort(), gone })) {
      const isNew = isBehind(at, after);
      if (isNew && event.type === 'stage.waiting' && !known.has(event.nonce) && !decided?.has(event.nonce)) break;
      await tell?.(event, at);
      if (isNew) reached = at;
    }
  } catch (error) {
    throw closing.aborted ? shuttingDown(run) : error;
  }
  return reached;
}

async function toItsEnd(
  events: AsyncIterable<RunFollowed>,
  run: string,
  { event: tell, onWait, closing, after, decided }: Watch & { readonly after?: string },
  stop: (wait: Asked, at: string) => Promise<NeedsInput>,
): Promise<Followed> {
  for await (const each of events) {
    if ('document' in each) return ended(each.document);
    const { event, id: at } = each;
    await tell?.(event, at);
    if (event.type !== 'stage.waiting' || (after !== undefined && !isBehind(at, after))) continue;
    if (decided?.has(event.nonce)) continue;
    if (onWait === 'end') return await stop(event, at);
    await onWait?.(run, event);
  }
  if (closing.aborted) throw shuttingDown(run);
  throw new MillraceError('REQUEST_ABORTED', 'the caller disconnected before the run had ended');
}

/** All open waits, so that they are asked together; the one that is known where no worker can be asked. */
async function openWaits(deps: GatewayDeps, { caller }: Pick<WaitedCall, 'caller'>, run: string, known: Asked) {
  const { waiting = [] } = (await readPaced(deps, run, caller, { waits: 'no' }).catch(() => undefined))?.document ?? {};
  return waiting.length > 0 ? waiting : [known];
}

function ended(document: RunDocument): { readonly document: RunDocument } {
  if (document.status !== 'succeeded') throw failureOf(withoutPlace(document));
  return { document };
}

const shuttingDown = (run: string) =>
  new MillraceError('GATEWAY_UNAVAILABLE', `this gateway is shutting down; the run continues: /v1/runs/${run}`);

const cancelledCall = () => new MillraceError('RUN_CANCELLED', 'the call was cancelled');

/** In this protocol a client that disconnects has cancelled its call. */
const asCancelled = (error: unknown): unknown =>
  error instanceof MillraceError && error.code === 'REQUEST_ABORTED' ? cancelledCall() : error;
