import type { Logger } from './logger.js';

/** One line a kind in this time: an outage is told at once and then at a rate a person can read. */
const EVERY_MS = 30_000;

/** Warnings that may come thousands a second; each kind is logged at most once in `EVERY_MS`, with how many were held back. */
export class RationedWarnings {
  readonly #logger: Logger;
  readonly #kinds = new Map<string, { next: number; held: number }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param kind one of a few fixed words, never a user's text */
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
