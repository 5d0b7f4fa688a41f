import { CancellationScope, condition, proxySinks, type Sinks } from '@temporalio/workflow';

export interface SegmentSinks extends Sinks {
  segments: { abandon(path: string): void };
}

const { segments } = proxySinks<SegmentSinks>();

/**
 * Delivers the results of local activities one at a time, each after the effects of all earlier ones.
 *
 * On replay Temporal delivers the result of a local activity together with the events of its workflow task, originally
 * after them: without this order, the following steps would start in a different order than in the history. Also, a
 * local activity cancelled just after it has ended loses its workflow task (the server retries it after its timeout, 10
 * seconds). So none is ever cancelled: the worker is instructed to end it, and its result is ignored.
 */
export class SegmentTurns {
  readonly #arrived: object[] = [];
  #running = 0;
  #begun = 0;

  /** Local activities that have begun. */
  get begun(): number {
    return this.#begun;
  }

  get running(): number {
    return this.#running;
  }

  /**
   * Returns the result of `work`; rejects with a cancellation if the enclosing scope is cancelled first.
   * @param path of the segment, to end it; undefined for a short local activity, which ends by itself
   * @param waits whether part of the run waits for a signal
   */
  async take<T>(path: string | undefined, work: () => Promise<T>, waits: () => boolean): Promise<T> {
    const turn = {};
    let gone = false;
    const arrive = () => {
      this.#running -= 1;
      if (!gone) this.#arrived.push(turn);
    };
    this.#running += 1;
    this.#begun += 1;
    const result = CancellationScope.nonCancellable(work);
    result.then(arrive, arrive);
    try {
      await condition(() => this.#arrived[0] === turn);
      if (waits()) {
        // Code that was waiting for a signal in the same task runs first: the second check comes after it.
        let checks = 0;
        await condition(() => checks++ > 0);
      }
    } catch (error) {
      if (path !== undefined) segments.abandon(path);
      throw error;
    } finally {
      gone = true;
      const at = this.#arrived.indexOf(turn);
      if (at >= 0) this.#arrived.splice(at, 1);
    }
    return result;
  }

  /**
   * Resolves when every local activity has ended, including abandoned ones: one that ends at the same moment as its
   * workflow also loses the workflow task.
   */
  async settled(): Promise<void> {
    await CancellationScope.nonCancellable(() => condition(() => this.#running === 0));
  }
}
