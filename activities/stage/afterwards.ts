import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import { messageOf } from '../../pipelines/errors.js';
import { isPending } from './pending.js';

/** When Temporal is asked whether the run has the outcome: so long after the attempt and each question, in milliseconds, and so often. */
const ASKED = { everyMs: 1_000, most: 30 };

/** What an attempt leaves to be done once no other one will ask for its outcome. */
export class Afterwards {
  readonly #context: Context;
  readonly #works: (() => void)[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  add(work: () => void): void {
    this.#works.push(work);
  }

  /** No other attempt will ask for it. */
  do(): void {
    for (const work of this.#works.splice(0)) {
      try {
        work();
      } catch (error) {
        // Of somebody else's connector. The attempt has its outcome.
        this.#context.log.warn(`what a call has left to be done has failed: ${messageOf(error)}`);
      }
    }
  }

  /**
   * The attempt has an outcome, which reaches Temporal after it has ended, or not at all if the worker is cut off from it: then another
   * attempt asks for it, and nothing is done. An ending process does not wait for more than the first question.
   */
  async doWhenReported(): Promise<void> {
    for (let asked = 1; this.#works.length > 0 && asked <= ASKED.most; asked++) {
      await sleep(ASKED.everyMs, undefined, { ref: asked === 1 });
      if (!(await isPending(this.#context))) this.do();
    }
  }
}
