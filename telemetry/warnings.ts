import type { Logger } from './logger.js';

/**
 * Interval of repeated warnings of one kind, in milliseconds: an outage is logged at once and then at a readable rate.
 */
const EVERY_MS = 30_000;

/**
 * Limits warnings that may occur thousands of times a second: each kind is logged at most once in `EVERY_MS`, with the
 * number of suppressed ones.
 */
export class RationedWarnings {
  readonly #logger: Logger;
  readonly #kinds = new Map<string, { next: number; held: number }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param kind one of a few fixed words, never user input */
  warn(kind: string, fields: object, message: string): void {
    const now = performance.now();
    const state = this.#kinds.get(kind);
    if (state && now < state.next) {
      state.held += 1;
      return;
    }
    const held = state?.held ?? 0;
    this.#kinds.set(kind, { next: now + EVERY_MS, held: 0 });
    this.#logger.warn({ ...fields, ...(held > 0 && { heldBack: held }) }, message);
  }
}
