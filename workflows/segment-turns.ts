import { CancellationScope, condition, proxySinks, type Sinks, sleep } from '@temporalio/workflow';
import type { Json } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { takes } from './changes.js';
import { mostBytesOf, ResultRoom } from './result-room.js';

export interface SegmentSinks extends Sinks {
  segments: { abandon(path: string): void };
}

const { segments } = proxySinks<SegmentSinks>();

/** What is known of a local activity before it has ended. */
interface TurnOptions {
  /** Of the segment, to end it. Absent: a short local activity, which ends by itself. */
  readonly path?: string;
  /** Its result is small whatever it finds, and takes no room from others. */
  readonly isSmall?: true;
}

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
  readonly #results = new ResultRoom();
  #running = 0;
  /** Those with room for their results until the workflow is given them. */
  #sharing = 0;

  get running(): number {
    return this.#running;
  }

  /**
   * Returns the result of `work`; rejects with a cancellation if the enclosing scope is cancelled first.
   * @param work gets the size, in bytes, of the longest result for which the message of its workflow task has room
   * @param waits whether part of the run waits for a signal
   */
  take<T>(work: (mostBytes: number) => Promise<T>, waits: () => boolean, options: TurnOptions = {}): Promise<T> {
    if (this.#results.full && takes('large-commands-leave-room'))
      return sleep(1).then(() => this.take(work, waits, options));
    return this.#take(work, waits, options);
  }

  async #take<T>(
    work: (mostBytes: number) => Promise<T>,
    waits: () => boolean,
    { path, isSmall }: TurnOptions,
  ): Promise<T> {
    const turn = {};
    const share = isSmall ? 0 : 1;
    let gone = false;
    let bytes = 0;
    const arrive = (come: number) => {
      bytes = come;
      this.#running -= 1;
      if (gone) this.#sharing -= share;
      else this.#arrived.push(turn);
    };
    this.#running += 1;
    this.#sharing += share;
    const mostBytes = mostBytesOf(this.#sharing);
    const result = CancellationScope.nonCancellable(() => work(mostBytes));
    result.then(
      (value) => arrive(bytesOf(value as unknown as Json)),
      () => arrive(0),
    );
    try {
      await condition(() => this.#arrived[0] === turn);
      if (waits()) {
        // Code that was waiting for a signal in the same task runs first: the second check comes after it.
        let checks = 0;
        await condition(() => checks++ > 0);
      }
      this.#results.passOn(bytes);
    } catch (error) {
      if (path !== undefined) segments.abandon(path);
      throw error;
    } finally {
      gone = true;
      const at = this.#arrived.indexOf(turn);
      if (at >= 0) {
        this.#arrived.splice(at, 1);
        this.#sharing -= share;
      }
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
