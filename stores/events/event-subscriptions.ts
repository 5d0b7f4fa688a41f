import type { Redis } from 'ioredis';

/** An entry of a stream as published on its channel. An empty id: the message is not in the stream. */
interface ChannelEntry {
  readonly id: string;
  readonly text: string;
}

/** The entries that one subscriber has received and not yet taken. */
export interface Subscription {
  /** Resolves once every entry published from now on will be received; false if the subscription fails. */
  ready(): Promise<boolean>;
  take(): ChannelEntry | undefined;
  /** Messages may have been missed, or were dropped for lack of room. Reset by `ready`. */
  readonly missed: boolean;
  /**
   * Resolves when there are more entries, messages were missed, or the signal aborts; false if nothing happened within
   * `ms`.
   */
  more(ms: number, signal: AbortSignal): Promise<boolean>;
}

/** What a subscription buffers at most; beyond that the stream is read again. One entry may have more characters. */
interface MostBuffered {
  readonly entries: number;
  readonly characters: number;
}

/** The channels on which a process receives runs’ events, over one connection. */
export class EventSubscriptions {
  readonly #redis: Redis;
  readonly #most: MostBuffered;
  readonly #channels = new Map<
    string,
    { readonly all: Set<ChannelSubscription>; subscribed: Promise<boolean> | undefined }
  >();

  constructor(subscriber: Redis, most: MostBuffered) {
    this.#redis = subscriber;
    this.#most = most;
    subscriber.on('message', (channel: string, message: string) => {
      const at = message.indexOf(' ');
      const entry = { id: message.slice(0, at), text: message.slice(at + 1) };
      for (const subscription of this.#channels.get(channel)?.all ?? []) subscription.add(entry);
    });
    subscriber.on('close', () => {
      for (const channel of this.#channels.values()) {
        channel.subscribed = undefined;
        for (const subscription of channel.all) subscription.miss();
      }
    });
  }

  listen(channel: string): Subscription {
    const known = this.#channels.get(channel) ?? { all: new Set(), subscribed: undefined };
    this.#channels.set(channel, known);
    const subscription = new ChannelSubscription(this.#most, () => {
      known.subscribed ??= this.#redis.subscribe(channel).then(
        () => true,
        () => {
          known.subscribed = undefined;
          return false;
        },
      );
      return known.subscribed;
    });
    known.all.add(subscription);
    return subscription;
  }

  leave(channel: string, subscription: Subscription): void {
    const known = this.#channels.get(channel);
    if (!known) return;
    known.all.delete(subscription as ChannelSubscription);
    if (known.all.size > 0) return;
    this.#channels.delete(channel);
    this.#redis.unsubscribe(channel).catch(() => undefined);
  }

  close(): void {
    for (const { all } of this.#channels.values()) for (const subscription of all) subscription.miss();
  }
}

class ChannelSubscription implements Subscription {
  readonly #most: MostBuffered;
  readonly #subscribe: () => Promise<boolean>;
  #entries: ChannelEntry[] = [];
  /** Of their texts. */
  #characters = 0;
  #missed = false;
  #wake: () => void = () => undefined;

  constructor(most: MostBuffered, subscribe: () => Promise<boolean>) {
    this.#most = most;
    this.#subscribe = subscribe;
  }

  get missed(): boolean {
    return this.#missed;
  }

  async ready(): Promise<boolean> {
    const subscribed = await this.#subscribe();
    this.#missed = false;
    this.#drop();
    return subscribed;
  }

  take(): ChannelEntry | undefined {
    const entry = this.#entries.shift();
    this.#characters -= entry?.text.length ?? 0;
    return entry;
  }

  add(entry: ChannelEntry): void {
    // After a gap entries are read from the stream.
    if (this.#missed) return;
    const characters = this.#characters + entry.text.length;
    const { length } = this.#entries;
    if (length === 0 || (length < this.#most.entries && characters <= this.#most.characters)) {
      this.#entries.push(entry);
      this.#characters = characters;
    } else this.miss();
    this.#wake();
  }

  miss(): void {
    this.#missed = true;
    this.#drop();
    this.#wake();
  }

  #drop(): void {
    this.#entries = [];
    this.#characters = 0;
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
