import { condition, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import {
  type Carried,
  fittingWait,
  type RunContext,
  runOfDelivery,
  WAITING_SIGNAL,
  type Wait,
} from '../pipelines/run/index.js';
import { takes } from './changes.js';
import { AROUND_BYTES } from './command-bytes.js';
import type { MessageRoom } from './message-room.js';
import { MOST_TOLD_BYTES, MOST_WAITS, MOST_WAITS_OF_CHILD, MOST_WAITS_OF_CHILDREN } from './webhooks/index.js';

/** How long a run waits for Temporal to report on its signals, in milliseconds. It does so within moments, also where the delivery is gone. */
const LONGEST_MS = 10_000;

/** What is kept of the waits that were told. */
type Told = Pick<Carried, 'told' | 'toldShared'>;

/**
 * Tells the delivery of a run of its waits, shortened where they are large, and of no more than the delivery sends. Its child runs tell theirs themselves: each
 * gets a share, so that the history of the delivery has room for the signals of all. In the room of a workflow task each
 * counts as one of the largest: how they are shortened may change with a release, and a replay must end workflow tasks in the same place.
 */
export class ToldWaits {
  readonly #room: MessageRoom;
  readonly #until: (holds: () => boolean, limitMs?: number) => Promise<unknown>;
  readonly #most: number;
  #told: number;
  /** How many of the waits that child runs may tell are shared out. */
  #shared: number;
  /** Signals that wait for room. */
  #waiting = 0;
  /** Signals of which Temporal has not reported whether the delivery has them. */
  readonly #sending = new Set<Promise<unknown>>();

  /**
   * @param of the run: how many it may tell, and what it has told in earlier histories
   * @param until resolves when a condition holds, or after the limit; rejects if the enclosing scope is cancelled before
   */
  constructor(
    room: MessageRoom,
    { mostTold = MOST_WAITS_OF_CHILD, carried }: Pick<RunContext, 'mostTold'> & { readonly carried?: Told } = {},
    until: (holds: () => boolean, limitMs?: number) => Promise<unknown> = (holds, limitMs) =>
      limitMs === undefined ? condition(holds) : condition(holds, limitMs),
  ) {
    this.#room = room;
    this.#most = mostTold;
    this.#told = carried?.told ?? 0;
    this.#shared = carried?.toldShared ?? 0;
    this.#until = until;
  }

  /** For the next history. */
  get carried(): Told {
    return { told: this.#told, toldShared: this.#shared };
  }

  /**
   * Whom a child run that begins now tells, and of how many waits; nobody if all are shared out. The more child runs have begun, the fewer it is, down to one.
   * @param to whom this run tells
   */
  share(to: string): Pick<RunContext, 'waitsTo' | 'mostTold'> {
    const left = isItsOwn(to) ? MOST_WAITS_OF_CHILDREN - this.#shared : this.#left(to);
    if (left <= 0) return {};
    // One each of as many as the delivery sends are set aside.
    const part = (left - MOST_WAITS) / (MOST_WAITS_OF_CHILDREN - MOST_WAITS);
    const mostTold = Math.max(1, Math.ceil(part * MOST_WAITS_OF_CHILD));
    this.#shared += mostTold;
    return { waitsTo: to, mostTold };
  }

  /** Waits that this run may still tell. A child run shares its own with its child runs. */
  #left(to: string): number {
    return isItsOwn(to) ? MOST_WAITS - this.#told : this.#most - this.#told - this.#shared;
  }

  /**
   * Whether the delivery may not have all signals yet. Temporal passes them on after the workflow task, and not at all if the history has ended by then; the
   * next one would not send them.
   */
  get telling(): boolean {
    return this.#waiting > 0 || this.#sending.size > 0;
  }

  /**
   * Resolves when the delivery has all signals, is gone, or has not been reported on for `LONGEST_MS` after the last one was sent. Rejects with the
   * cancellation of the run.
   */
  async settled(): Promise<void> {
    await this.#until(() => this.#waiting === 0);
    if (this.#sending.size > 0) await this.#until(() => this.#sending.size === 0, LONGEST_MS);
    this.#sending.clear();
  }

  /** @param to the delivery of this run, or of the one whose child it is */
  tell(wait: Wait, to: string): void {
    if (!takes('waits-are-told')) return;
    const prefix = isItsOwn(to) ? '' : `${workflowInfo().workflowId.slice(runOfDelivery(to).length + 1)}/`;
    const told = fittingWait({ ...wait, path: `${prefix}${wait.path}` }, MOST_TOLD_BYTES);
    const send = (): Promise<unknown> =>
      // A delivery that has been stopped is no reason for the run to fail.
      getExternalWorkflowHandle(to)
        .signal(WAITING_SIGNAL, told)
        .catch(() => undefined);
    if (!takes('told-waits-leave-room')) {
      void send();
      return;
    }
    if (this.#left(to) <= 0) return;
    this.#told += 1;
    const room = this.#room.takeUncounted(MOST_TOLD_BYTES + AROUND_BYTES);
    if (room === undefined) {
      this.#sent(send());
      return;
    }
    this.#waiting += 1;
    void room
      .then(
        () => this.#sent(send()),
        () => undefined,
      )
      .then(() => {
        this.#waiting -= 1;
      });
  }

  #sent(signal: Promise<unknown>): void {
    this.#sending.add(signal);
    void signal.then(() => this.#sending.delete(signal));
  }
}

/** Whether a delivery is that of this run; otherwise this one is a child run. */
const isItsOwn = (to: string): boolean => runOfDelivery(to) === workflowInfo().workflowId;
