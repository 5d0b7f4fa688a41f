import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import { bytesOf, SMALL_BYTES } from '../pipelines/json-limits.js';
import { queueOrder } from '../pipelines/plan/index.js';
import { stepOf } from '../pipelines/run/channel-path.js';
import {
  type ChannelCommit,
  type ChannelRef,
  type ChannelWait,
  type Committed,
  ENTRY_KIND,
  type MoreEntries,
  type RunContext,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { STREAM_HEARTBEAT_MS, short } from './activity-options.js';
import { stageError } from './failures.js';
import {
  ChannelPieces,
  ChannelValues,
  type PieceReader,
  type Pieces,
  type PieceWriter,
  type Reading,
  type Writing,
} from './interpreter/index.js';
import type { MessageRoom } from './message-room.js';
import type { PendingWork } from './pending-work.js';

type Context = Pick<RunContext, 'plan' | 'tenant' | 'priority'>;
type WaitActivity = (input: JsonObject, call: ChannelWait) => Promise<MoreEntries>;
type CommitActivity = (input: JsonObject, call: ChannelCommit) => Promise<Committed>;

/**
 * Streams of an `each` whose items the workflow runs, by activities on its own task queue. One waits until the channel has more entries, or the
 * end, and returns the places of all that are there: a history has one such activity for what came while the last items ran, and no
 * entry. Another one commits the values that can be passed on, all at once.
 */
export class TemporalPieces implements Pieces {
  readonly #context: Context;
  readonly #room: MessageRoom;
  readonly #activities: PendingWork;

  constructor(context: Context, room: MessageRoom, activities: PendingWork) {
    this.#context = context;
    this.#room = room;
    this.#activities = activities;
  }

  read(channel: ChannelRef, by: Reading): PieceReader {
    const { step, path } = by;
    const { path: producer, of } = channel;
    const scope = new CancellationScope();
    let cancelled = false;
    return new ChannelPieces(channel, by, {
      next: async (waitFor) => {
        const call: ChannelWait = { ...named(this.#context, step), waitFor };
        const summary = `${path} reads ${stepOf(producer)}.${of}`;
        const wait = () =>
          activityOf<WaitActivity>(this.#context, `${step}: more ${of}`, summary, by.leftMs())({}, call);
        try {
          return await scope.run(() => this.#activities.begin(wait, true));
        } catch (error) {
          // Its own cancellation, and not the run's.
          if (cancelled && isCancellation(error) && !CancellationScope.current().consideredCancelled) return undefined;
          throw failureOf(step, error);
        }
      },
      cancel() {
        cancelled = true;
        scope.cancel();
      },
    });
  }

  async write(path: string, by: Writing): Promise<PieceWriter> {
    const { step } = by;
    return new ChannelValues(path, by, async (commit, values) => {
      const call: ChannelCommit = { ...named(this.#context, step), commit };
      const input = { values: [...values] };
      const bytes = bytesOf(input);
      if (bytes >= SMALL_BYTES) await this.#room.take(bytes);
      const summary = `${stepOf(path)} passes on ${values.length} values`;
      const send = () =>
        activityOf<CommitActivity>(this.#context, `${step}: entries`, summary, by.leftMs())(input, call);
      try {
        return await this.#activities.begin((waitedMs) => {
          const more = waitedMs > 0 && bytes >= SMALL_BYTES ? this.#room.take(bytes) : undefined;
          return more !== undefined ? more.then(send) : send();
        });
      } catch (error) {
        throw failureOf(step, error);
      }
    });
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
  { tenant, priority }: Context,
  type: string,
  summary: string,
  leftMs: number,
): A {
  const limitMs = Math.max(1, Math.floor(leftMs));
  const activities = proxyActivities<Record<string, A>>({
    heartbeatTimeout: STREAM_HEARTBEAT_MS,
    startToCloseTimeout: limitMs,
    scheduleToCloseTimeout: limitMs,
    priority: queueOrder(tenant, priority),
    retry: { initialInterval: 100, backoffCoefficient: 2, maximumInterval: 1_000 },
    summary: short(summary),
  });
  return activities[short(type)] as unknown as A;
}
