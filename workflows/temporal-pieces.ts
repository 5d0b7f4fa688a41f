import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { Json, JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { PRIORITY_KEYS } from '../pipelines/plan/index.js';
import {
  type ChannelCommit,
  type ChannelPosition,
  type ChannelRef,
  type ChannelWait,
  type Committed,
  ENTRY_KIND,
  type MoreEntries,
  type RunContext,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { SMALL_BYTES, STREAM_HEARTBEAT_MS, short } from './activity-options.js';
import { stageError } from './failures.js';
import type { Piece, PieceReader, Pieces, PieceWriter, Reading, Writing } from './interpreter/index.js';
import type { MessageRoom } from './message-room.js';

type Context = Pick<RunContext, 'plan' | 'tenant' | 'priority'>;
type WaitActivity = (input: JsonObject, call: ChannelWait) => Promise<MoreEntries>;
type CommitActivity = (input: JsonObject, call: ChannelCommit) => Promise<Committed>;

/** Entries that one activity returns. Offsets are small; of entries that the interpreter computes with, the worker limits the bytes. */
const MOST_ENTRIES = 256;

/** Values of one activity: several of them, or one that is larger. */
const MOST_BATCH_BYTES = 256_000;

/** How often in a row a store may lose what was committed before nothing more is passed on. */
const MOST_LOSSES = 5;

/**
 * Streams of an `each` whose items the workflow runs, by activities on its own task queue. One waits until the channel has more entries, or the
 * end, and returns their places, all that are there: a history has one such activity for what came while the last items ran, and no
 * entry. Another one commits the values that can be passed on, all at once.
 */
export class TemporalPieces implements Pieces {
  readonly #context: Context;
  readonly #room: MessageRoom;

  constructor(context: Context, room: MessageRoom) {
    this.#context = context;
    this.#room = room;
  }

  read(channel: ChannelRef, by: Reading): PieceReader {
    return new ChannelPieces(this.#context, channel, by);
  }

  async write(path: string, by: Writing): Promise<PieceWriter> {
    return new ChannelValues(this.#context, this.#room, path, by);
  }
}

/** Waits for entries and keeps the places of those that no item has taken. */
class ChannelPieces implements PieceReader {
  readonly #context: Context;
  readonly #channel: ChannelRef;
  readonly #by: Reading;
  readonly #scope = new CancellationScope();
  readonly #ready: Piece[] = [];
  /** Number of the entry of each piece, by the piece's index: sentences without words are no pieces. */
  readonly #numbers: number[] = [];
  #next: ChannelPosition = { number: 0 };
  #ended = false;
  #closed = false;

  constructor(context: Context, channel: ChannelRef, by: Reading) {
    this.#context = context;
    this.#channel = channel;
    this.#by = by;
  }

  async next(): Promise<Piece | undefined> {
    try {
      while (this.#ready.length === 0 && !this.#ended && !this.#closed) await this.#wait();
    } catch (error) {
      // Its own cancellation, and not the run's.
      if (this.#closed && isCancellation(error) && !CancellationScope.current().consideredCancelled) return undefined;
      throw failureOf(this.#by.step, error);
    }
    return this.#closed ? undefined : this.#ready.shift();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scope.cancel();
  }

  async #wait(): Promise<void> {
    const { step, path, values, needed, over, leftMs } = this.#by;
    const { path: producer, of } = this.#channel;
    const call: ChannelWait = {
      ...named(this.#context, step),
      waitFor: {
        channel: this.#channel,
        reader: path,
        after: this.#next,
        most: MOST_ENTRIES,
        needed: this.#numbers[needed()] ?? this.#next.number,
        ...(over() && { there: true }),
        ...(values && { values: true }),
      },
    };
    const type = `${step}: more of ${of}`;
    const activity = activityOf<WaitActivity>(this.#context, type, `${path} reads ${producer}.${of}`, leftMs());
    const { entries, next, ended } = await this.#scope.run(() => activity({}, call));
    const { generation } = next;
    for (const { number, digest, value } of entries) {
      this.#numbers.push(number);
      const entry = { path: producer, of, number, digest, ...(generation !== undefined && { generation }) };
      this.#ready.push({ digest, ...(value === undefined ? { entry } : { value }) });
    }
    this.#next = next;
    this.#ended = ended === true;
  }
}

/** Passes values on in order, and again from where the store has lost them: the workflow has all. */
class ChannelValues implements PieceWriter {
  readonly #context: Context;
  readonly #room: MessageRoom;
  readonly #path: string;
  readonly #by: Writing;
  readonly #values: Json[] = [];
  #sent = 0;
  #losses = 0;
  /** The store has been away: the rest is tried once more at the end. */
  #away = false;

  constructor(context: Context, room: MessageRoom, path: string, by: Writing) {
    this.#context = context;
    this.#room = room;
    this.#path = path;
    this.#by = by;
  }

  async add(...values: readonly Json[]): Promise<void> {
    this.#values.push(...values);
    if (!this.#away) await this.#send(false);
  }

  async end(): Promise<void> {
    this.#away = false;
    await this.#send(true);
  }

  close(): void {
    // Nothing is left open: each activity ends by itself.
  }

  async #send(end: boolean): Promise<void> {
    let ended = !end;
    while (this.#sent < this.#values.length || !ended) {
      const from = this.#sent;
      const values = this.#batch();
      const last = end && from + values.length === this.#values.length;
      try {
        const { count } = await this.#commit(values, from, last);
        this.#losses = count < from ? this.#losses + 1 : 0;
        this.#sent = count;
        if (this.#losses > MOST_LOSSES) this.#away = true;
        ended ||= last && count === this.#values.length;
      } catch (error) {
        const failure = failureOf(this.#by.step, error);
        if (!(failure instanceof StageError && failure.code === 'STREAM_LOST')) throw failure;
        this.#away = true;
      }
      // Readers get the list.
      if (this.#away) return;
    }
  }

  #batch(): readonly Json[] {
    let bytes = 0;
    let to = this.#sent;
    while (to < this.#values.length) {
      bytes += bytesOf(this.#values[to] as Json);
      if (to > this.#sent && bytes > MOST_BATCH_BYTES) break;
      to += 1;
    }
    return this.#values.slice(this.#sent, to);
  }

  async #commit(values: readonly Json[], from: number, end: boolean): Promise<Committed> {
    const { step, runMs, leftMs } = this.#by;
    const call: ChannelCommit = {
      ...named(this.#context, step),
      commit: { path: this.#path, from, runMs, ...(end && { end }) },
    };
    const input = { values: [...values] };
    const bytes = bytesOf(input);
    if (bytes >= SMALL_BYTES) await this.#room.take(bytes);
    const summary = `${this.#path} passes on ${values.length} values`;
    return await activityOf<CommitActivity>(this.#context, `${step}: entries`, summary, leftMs())(input, call);
  }
}

/** A failure as the interpreter takes it: a cancellation stays one. */
const failureOf = (step: string, error: unknown): unknown =>
  isCancellation(error) || error instanceof StageError ? error : stageError({ id: step }, error);

/** What a worker that does not know the call needs to refuse it. */
function named({ plan, tenant }: Context, stage: string) {
  const retry = { attempts: 1, initialMs: 100, factor: 2, maxMs: 1_000 };
  const { name: pipeline, version } = plan;
  return { pipeline, version, tenant, stage, kind: ENTRY_KIND, model: '', with: {}, retry };
}

function activityOf<A extends WaitActivity | CommitActivity>(
  { priority }: Context,
  type: string,
  summary: string,
  leftMs: number,
): A {
  const limitMs = Math.max(1, Math.floor(leftMs));
  const activities = proxyActivities<Record<string, A>>({
    heartbeatTimeout: STREAM_HEARTBEAT_MS,
    startToCloseTimeout: limitMs,
    scheduleToCloseTimeout: limitMs,
    ...(priority !== undefined && { priority: { priorityKey: PRIORITY_KEYS[priority] } }),
    retry: { initialInterval: 100, backoffCoefficient: 2, maximumInterval: 1_000 },
    summary: short(summary),
  });
  return activities[short(type)] as unknown as A;
}
