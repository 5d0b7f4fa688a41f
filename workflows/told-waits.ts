import { condition, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { fittingWait, runOfDelivery, WAITING_SIGNAL, type Wait } from '../pipelines/run/index.js';
import { takes } from './changes.js';
import { AROUND_BYTES } from './command-bytes.js';
import type { MessageRoom } from './message-room.js';
import { MOST_TOLD_BYTES, MOST_WAITS, MOST_WAITS_OF_CHILD } from './webhooks/index.js';

/** How long a run waits for Temporal to report on its signals, in milliseconds. It does so within moments, also where the delivery is gone. */
const LONGEST_MS = 10_000;

/**
 * Tells the delivery of a run of its waits, shortened where they are large, and of no more than the delivery sends. In the room of a workflow task each
 * counts as one of the largest: how they are shortened may change with a release, and a replay must end workflow tasks in the same place.
 */
export class ToldWaits {
  readonly #room: MessageRoom;
  readonly #until: (holds: () => boolean, limitMs?: number) => Promise<unknown>;
  #count: number;
  /** Signals that wait for room. */
  #waiting = 0;
  /** Signals of which Temporal has not reported whether the delivery has them. */
  readonly #sending = new Set<Promise<unknown>>();

  /**
   * @param count those of earlier histories
   * @param until resolves when a condition holds, or after the limit; rejects if the enclosing scope is cancelled before
   */
  constructor(
    room: MessageRoom,
    count = 0,
    until: (holds: () => boolean, limitMs?: number) => Promise<unknown> = (holds, limitMs) =>
      limitMs === undefined ? condition(holds) : condition(holds, limitMs),
  ) {
    this.#room = room;
    this.#count = count;
    this.#until = until;
  }

  get count(): number {
    return this.#count;
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
    const { workflowId } = workflowInfo();
    const parent = runOfDelivery(to);
    const prefix = workflowId === parent ? '' : `${workflowId.slice(parent.length + 1)}/`;
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
    if (this.#count >= (prefix === '' ? MOST_WAITS : MOST_WAITS_OF_CHILD)) return;
    this.#count += 1;
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
