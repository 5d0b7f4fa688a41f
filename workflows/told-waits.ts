import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { fittingWait, runOfDelivery, WAITING_SIGNAL, type Wait } from '../pipelines/run/index.js';
import { takes } from './changes.js';
import { AROUND_BYTES } from './command-bytes.js';
import type { MessageRoom } from './message-room.js';
import { MOST_TOLD_BYTES, MOST_WAITS, MOST_WAITS_OF_CHILD } from './webhooks/index.js';

/**
 * Tells the delivery of a run of its waits, shortened where they are large, and of no more than the delivery sends. In the room of a workflow task each
 * counts as one of the largest: how they are shortened may change with a release, and a replay must end workflow tasks in the same place.
 */
export class ToldWaits {
  readonly #room: MessageRoom;
  #count: number;
  #telling: Promise<void> | undefined;

  /** @param count those of earlier histories */
  constructor(room: MessageRoom, count = 0) {
    this.#room = room;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves when all signals have been sent that wait for room now; undefined: none does. The next history would not send them. */
  get telling(): Promise<void> | undefined {
    return this.#telling;
  }

  /** @param to the delivery of this run, or of the one whose child it is */
  tell(wait: Wait, to: string): void {
    if (!takes('waits-are-told')) return;
    const { workflowId } = workflowInfo();
    const parent = runOfDelivery(to);
    const prefix = workflowId === parent ? '' : `${workflowId.slice(parent.length + 1)}/`;
    const told = fittingWait({ ...wait, path: `${prefix}${wait.path}` }, MOST_TOLD_BYTES);
    const send = () => {
      // A delivery that has been stopped is no reason for the run to fail.
      getExternalWorkflowHandle(to)
        .signal(WAITING_SIGNAL, told)
        .catch(() => undefined);
    };
    let room: Promise<void> | undefined;
    if (takes('told-waits-leave-room')) {
      if (this.#count >= (prefix === '' ? MOST_WAITS : MOST_WAITS_OF_CHILD)) return;
      this.#count += 1;
      room = this.#room.takeUncounted(MOST_TOLD_BYTES + AROUND_BYTES);
    }
    if (room === undefined) {
      send();
      return;
    }
    // Room is given in turn: the last one to get it is the last one to send.
    const telling: Promise<void> = room
      .then(send, () => undefined)
      .then(() => {
        if (this.#telling === telling) this.#telling = undefined;
      });
    this.#telling = telling;
  }
}
