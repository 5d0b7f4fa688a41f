import { getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import { fittingWait, runOfDelivery, WAITING_SIGNAL, type Wait } from '../pipelines/run/index.js';
import { takes } from './changes.js';
import { AROUND_BYTES } from './command-bytes.js';
import type { MessageRoom } from './message-room.js';
import { MOST_TOLD_BYTES, MOST_WAITS, MOST_WAITS_OF_CHILD } from './webhooks/index.js';

/**
 * The waits of a run that its delivery is told of, shortened where they are large, and no more than that sends. Each counts as one of the
 * largest: how it is shortened may change with a release, and a replay must end workflow tasks in the same place.
 */
export class ToldWaits {
  readonly #room: MessageRoom;
  #count: number;

  /** @param count those of earlier histories */
  constructor(room: MessageRoom, count = 0) {
    this.#room = room;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  /** @param to the delivery of this run, or of the one whose child it is */
  tell(wait: Wait, to: string): void {
    if (!takes('waits-are-told')) return;
    const { workflowId } = workflowInfo();
    const parent = runOfDelivery(to);
    const prefix = workflowId === parent ? '' : `${workflowId.slice(parent.length + 1)}/`;
    const told = fittingWait({ ...wait, path: `${prefix}${wait.path}` }, MOST_TOLD_BYTES);
    const send = () => getExternalWorkflowHandle(to).signal(WAITING_SIGNAL, told);
    let room: Promise<void> | undefined;
    if (takes('told-waits-leave-room')) {
      if (this.#count >= (prefix === '' ? MOST_WAITS : MOST_WAITS_OF_CHILD)) return;
      this.#count += 1;
      room = this.#room.takeUncounted(MOST_TOLD_BYTES + AROUND_BYTES);
    }
    // A delivery that has been stopped is no reason for the run to fail.
    (room === undefined ? send() : room.then(send)).catch(() => undefined);
  }
}
