import type { SegmentJournal } from '../../stores/journal/index.js';
import type { LossWatch } from '../../stores/redis/index.js';

/** Pause before a store that could not be reached is tried again, in milliseconds. */
const PAUSE_MS = 250;

/** A journal that is kept in the store, whatever the store loses. */
export interface KeptJournal {
  /** Writes what the store lacks of it, now or when it can be reached. Not awaited. */
  write(): void;
  /** Nobody needs the journal any more. */
  readonly stop: () => void;
}

/** Writes a journal again after each loss of the store, until `stop`. */
export function keepWritten(
  journal: Pick<SegmentJournal, 'writeAgain'>,
  losses: Pick<LossWatch, 'onLoss'>,
): KeptJournal {
  let due = false;
  let writing = false;
  let stopped = false;
  const write = async () => {
    due = true;
    if (writing) return;
    writing = true;
    while (due && !stopped) {
      due = false;
      // After a loss all workers write theirs at once: a store that is slow then has not got this one.
      if (await journal.writeAgain()) continue;
      due = true;
      await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS).unref());
    }
    writing = false;
  };
  const unheard = losses.onLoss(() => void write());
  return {
    write: () => void write(),
    stop: () => {
      stopped = true;
      unheard();
    },
  };
}
