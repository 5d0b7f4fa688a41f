import type { Redis } from 'ioredis';

/** An entry of a stream as its channel tells it; without an id, what the stream does not have. */
interface Told {
  readonly id: string;
  readonly text: string;
}

/** What one follower has been told and has not taken. */
export interface Live {
  /** Resolves when everything that is told from now on will be heard; false where it cannot be. */
  hears(): Promise<boolean>;
  take(): Told | undefined;
  /** Something may have been told that was not heard, or there was no room for it. `hears` begins anew. */
  readonly missed: boolean;
  /** Resolves when there is more, or something was missed, or nobody listens any more; false when nothing happened within `ms`. */
  more(ms: number, signal: AbortSignal): Promise<boolean>;
}

/** The channels that the followers of a process listen to, over one connection. */
export class Channels {
  readonly #redis: Redis;
  readonly #most: number;
  readonly #followers = new Map<string, { readonly all: Set<Follower>; subscribed: Promise<boolean> | undefined }>();

  /** @param most entries that a follower keeps before it rather reads the stream again */
  constructor(subscriber: Redis, most: number) {
    this.#redis = subscriber;
    this.#most = most;
    subscriber.on('message', (channel: string, message: string) => {
      const at = message.indexOf(' ');
      const told = { id: message.slice(0, at), text: message.slice(at + 1) };
      for (const follower of this.#followers.get(channel)?.all ?? []) follower.tell(told);
    });
    subscriber.on('close', () => {
      for (const channel of this.#followers.values()) {
        channel.subscribed = undefined;
        for (const follower of channel.all) follower.miss();
      }
    });
  }

  listen(channel: string): Live {
    const known = this.#followers.get(channel) ?? { all: new Set(), subscribed: undefined };
    this.#followers.set(channel, known);
    const follower = new Follower(this.#most, () => {
      known.subscribed ??= this.#redis.subscribe(channel).then(
        () => true,
        () => {
          known.subscribed = undefined;
          return false;
        },
      );
      return known.subscribed;
    });
    known.all.add(follower);
    return follower;
  }

  leave(channel: string, live: Live): void {
    const known = this.#followers.get(channel);
    if (!known) return;
    known.all.delete(live as Follower);
    if (known.all.size > 0) return;
    this.#followers.delete(channel);
    this.#redis.unsubscribe(channel).catch(() => undefined);
  }

  close(): void {
    for (const { all } of this.#followers.values()) for (const follower of all) follower.miss();
  }
}

class Follower implements Live {
  readonly #most: number;
  readonly #subscribe: () => Promise<boolean>;
  #told: Told[] = [];
  #missed = false;
  #wake: () => void = () => undefined;

  constructor(most: number, subscribe: () => Promise<boolean>) {
    this.#most = most;
    this.#subscribe = subscribe;
  }

  get missed(): boolean {
    return this.#missed;
  }

  async hears(): Promise<boolean> {
    const subscribed = await this.#subscribe();
    this.#missed = false;
    this.#told = [];
    return subscribed;
  }

  take(): Told | undefined {
    return this.#told.shift();
  }

  tell(told: Told): void {
    // What comes after a gap comes from the stream.
    if (this.#missed) return;
    if (this.#told.length < this.#most) this.#told.push(told);
    else this.miss();
    this.#wake();
  }

  miss(): void {
    this.#missed = true;
    this.#told = [];
    this.#wake();
  }

  more(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (happened: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#wake = () => undefined;
        resolve(happened);
      };
      const wake = () => end(true);
      const timer = setTimeout(end, ms, false);
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
