import { CancellationScope, condition, proxySinks, type Sinks } from '@temporalio/workflow';

export interface SegmentSinks extends Sinks {
  segments: { abandon(path: string): void };
}

const { segments } = proxySinks<SegmentSinks>();

/**
 * Lets the results of local activities in one at a time, each after all that came before it has had its effect.
 *
 * On replay Temporal gives the result of a local activity together with the events of its workflow task, where at first it
 * came after them: taken as they come, the two would start the steps behind them in another order than the history has.
 * And a local activity that is cancelled when it has just ended loses its workflow task (the server gives it again after
 * its timeout, 10 seconds). So none is ever cancelled: the worker is told to end it, and its result is not looked at.
 */
export class SegmentTurns {
  readonly #arrived: object[] = [];
  #running = 0;

  get running(): number {
    return this.#running;
  }

  /**
   * The result of `work`; a cancellation when the scope around the call is cancelled first.
   * @param waits whether something of the run waits for a signal
   */
  async take<T>(path: string, work: () => Promise<T>, waits: () => boolean): Promise<T> {
    const turn = {};
    let gone = false;
    const arrive = () => {
      this.#running -= 1;
      if (!gone) this.#arrived.push(turn);
    };
    this.#running += 1;
    const result = CancellationScope.nonCancellable(work);
    result.then(arrive, arrive);
    try {
      await condition(() => this.#arrived[0] === turn);
      if (waits()) {
        // What was waiting for a signal in the same task goes first: a second look comes after it.
        let looks = 0;
        await condition(() => looks++ > 0);
      }
    } catch (error) {
      segments.abandon(path);
      throw error;
    } finally {
      gone = true;
      const at = this.#arrived.indexOf(turn);
      if (at >= 0) this.#arrived.splice(at, 1);
    }
    return result;
  }

  /**
   * Every local activity has ended, those that were given up too: one that ends at the moment of its workflow's end loses the
   * workflow task as well.
   */
  async settled(): Promise<void> {
    await CancellationScope.nonCancellable(() => condition(() => this.#running === 0));
  }
}
