import type { Attempt } from './serving.js';

/** A wait that ends before keeps the slot, in milliseconds: to get one again can take as long. */
const KEEPS_SLOT_MS = 1_000;

/**
 * Waits for what another attempt does; from a second on without the slot, which that one may need. It is held again before this resolves.
 * Throws what the wait throws, and the signal's reason.
 */
export async function withoutSlot<T>(
  { slot, signal }: Pick<Attempt, 'slot' | 'signal'>,
  waiting: () => Promise<T>,
): Promise<T> {
  const leaving = setTimeout(() => slot?.leave(), KEEPS_SLOT_MS);
  try {
    return await waiting();
  } finally {
    clearTimeout(leaving);
    await slot?.take(signal);
  }
}
