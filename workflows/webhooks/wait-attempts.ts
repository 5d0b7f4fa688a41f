import type { AttemptOutcome } from '../../pipelines/run/index.js';
import { AROUND_BYTES } from '../command-bytes.js';
import { MessageRoom } from '../message-room.js';
import { PendingWork } from '../pending-work.js';
import { MOST_TOLD_BYTES, MOST_WAIT_ATTEMPTS } from './schedule.js';

/**
 * The attempts at the events of waits: at no time more than Temporal takes, and in no workflow task more than fit into its message. Those at the event of
 * the end do not wait for them.
 */
export class WaitAttempts {
  readonly #places: PendingWork;
  readonly #room = new MessageRoom();
  #made = 0;

  constructor(places = new PendingWork()) {
    this.#places = places;
  }

  /** Whether there are no more: the history has to hold the end of the run too. */
  get usedUp(): boolean {
    return this.#made >= MOST_WAIT_ATTEMPTS;
  }

  /** Begins another activity of a wait when there is a place for it. */
  begin<T>(work: () => Promise<T>): Promise<T> {
    return this.#places.begin(work);
  }

  /** Makes an attempt when there is a place and room for it; `busy`, without one, if the wait is over by then. */
  make(attempt: () => Promise<AttemptOutcome>, isOver: () => boolean): Promise<AttemptOutcome> {
    const now = () => {
      this.#made += 1;
      return attempt();
    };
    const late = (): Promise<AttemptOutcome> => (isOver() ? Promise.resolve({ outcome: 'busy' }) : now());
    return this.#places.begin<AttemptOutcome>((waitedMs) => {
      const room = this.#room.takeUncounted(MOST_TOLD_BYTES + AROUND_BYTES);
      if (room !== undefined) return room.then(late);
      return waitedMs > 0 ? late() : now();
    });
  }
}
