import { type ChannelLog, MemoryChannelLog } from '../../stores/channels/index.js';

/** Channels of a store that can be away: nothing answers meanwhile, and what it has stays. */
export class AwayLog extends MemoryChannelLog {
  away = false;

  /** It is away for some time, in milliseconds, from now on. */
  leaveFor(ms: number): void {
    this.away = true;
    setTimeout(() => {
      this.away = false;
    }, ms);
  }

  override open(...given: Parameters<ChannelLog['open']>) {
    return this.#reached(() => super.open(...given));
  }

  override append(...given: Parameters<ChannelLog['append']>) {
    return this.#reached(() => super.append(...given));
  }

  override restore(...given: Parameters<ChannelLog['restore']>) {
    return this.#reached(() => super.restore(...given));
  }

  override keep(...given: Parameters<ChannelLog['keep']>) {
    return this.#reached(() => super.keep(...given));
  }

  override read(...given: Parameters<ChannelLog['read']>) {
    return this.#reached(() => super.read(...given));
  }

  override passed(...given: Parameters<ChannelLog['passed']>) {
    return this.#reached(() => super.passed(...given));
  }

  override needed(...given: Parameters<ChannelLog['needed']>) {
    return this.#reached(() => super.needed(...given));
  }

  async #reached<T>(work: () => Promise<T>): Promise<T> {
    if (this.away) throw new Error('connection refused');
    return await work();
  }
}
