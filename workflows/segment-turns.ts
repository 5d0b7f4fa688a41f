import { CancellationScope, condition, proxySinks, type Sinks, sleep } from '@temporalio/workflow';
import type { Json } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { takes } from './changes.js';
import type { MessageRoom } from './message-room.js';
import { ResultRoom } from './result-room.js';

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
  readonly #commands: MessageRoom;
  readonly #results = new ResultRoom();
  #running = 0;
  /** Resolves when the last of those that come alone has come. */
  #alone: Promise<void> = Promise.resolve();

  /** @param commands of the same workflow, which travel with the results */
  constructor(commands: MessageRoom) {
    this.#commands = commands;
  }

  get running(): number {
    return this.#running;
  }

  /**
   * Returns the result of `work`; rejects with a cancellation if the enclosing scope is cancelled first.
   * @param path of the segment, to end it; undefined for a short local activity, which ends by itself
   * @param work gets the size, in bytes, of the longest result for which the message of its workflow task has room
   * @param waits whether part of the run waits for a signal
   */
  take<T>(path: string | undefined, work: (mostBytes: number) => Promise<T>, waits: () => boolean): Promise<T> {
    const nextTask = this.#nextTask();
    if (nextTask) return nextTask.then(() => this.take(path, work, waits));
    const { bytes, end } = this.#results.begin();
    return this.#take(path, () => work(bytes), waits, end);
  }

  /**
   * The same of a result for which there was no room: one at a time, instead of large commands, each in a workflow task of its own. Several of
   * 1.5 MB would be more than one message to Temporal.
   */
  async alone<T>(path: string | undefined, work: () => Promise<T>, waits: () => boolean): Promise<T> {
    const before = this.#alone;
    let ended: () => void = () => undefined;
    this.#alone = new Promise<void>((resolve) => {
      ended = resolve;
    });
    try {
      await before;
      await this.#nextTask();
      await this.#commands.takeWhole();
      return await this.#take(path, work, waits);
    } finally {
      ended();
    }
  }

  /** Resolves in the next workflow task; undefined if the current one has room for results of more local activities. */
  #nextTask(): Promise<void> | undefined {
    return this.#results.full && takes('large-commands-leave-room') ? sleep(1) : undefined;
  }

  async #take<T>(
    path: string | undefined,
    work: () => Promise<T>,
    waits: () => boolean,
    end: (bytes: number) => void = () => undefined,
  ): Promise<T> {
    const turn = {};
    let gone = false;
    let bytes = 0;
    const arrive = (come: number) => {
      bytes = come;
      end(come);
      this.#running -= 1;
      if (!gone) this.#arrived.push(turn);
    };
    this.#running += 1;
    const result = CancellationScope.nonCancellable(work);
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
