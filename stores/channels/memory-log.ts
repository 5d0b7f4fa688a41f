import {
  type ChannelLog,
  type ChannelName,
  calledWithin,
  type Entry,
  generationsBefore,
  type Held,
  MOST_BYTES,
  nextGeneration,
  type Owned,
  type Restoration,
  type Standing,
  startHash,
  VOID,
  type Write,
} from './channel.js';

interface Kept {
  owner: string;
  count: number;
  hash: string;
  from: number;
  entries: Entry[];
  end: string | undefined;
  /** A reader has made something of its entries. */
  kept: boolean;
  readonly readers: Map<string, number>;
}

/** Channels of one process, without a server: for runs that end with their process, and for tests. */
export class MemoryChannelLog implements ChannelLog {
  readonly #channels = new Map<string, Kept>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #mostBytes: number;

  constructor({ mostBytes = MOST_BYTES }: { readonly mostBytes?: number } = {}) {
    this.#mostBytes = mostBytes;
  }

  async open(name: ChannelName, owner: string, _ttlMs?: number, first = 0, _ageMs = 0): Promise<Held> {
    const kept = this.#channels.get(keyOf(name)) ?? emptyChannel(name, owner);
    kept.owner = owner;
    this.#channels.set(keyOf(name), kept);
    return held(kept, Math.max(kept.from, Math.min(first, kept.count)), Number.POSITIVE_INFINITY);
  }

  async append(name: ChannelName, { owner, count, hash, entries, after, end }: Write): Promise<Standing> {
    const kept = this.#channels.get(keyOf(name));
    if (!kept) return 'gone';
    if (kept.owner !== owner) return 'taken';
    if (kept.count !== count || kept.hash !== hash) return 'differs';
    if (entries.length > 0 && bytesOf(kept.entries) + bytesOf(entries) > this.#mostBytes) {
      trim(kept);
      if (bytesOf(kept.entries) + bytesOf(entries) > this.#mostBytes) return 'full';
    }
    kept.entries.push(...entries);
    kept.count += entries.length;
    kept.hash = after;
    if (end !== undefined) kept.end = end;
    this.#wake(name);
    return 'held';
  }

  async restore(
    name: ChannelName,
    { owner, from, entries, after, end }: Restoration,
  ): Promise<'held' | 'taken' | 'kept'> {
    const before = this.#channels.get(keyOf(name));
    if (before && before.owner !== owner) return 'taken';
    const earlier = generationsBefore(name).map((each) => [each, this.#channels.get(keyOf(each))] as const);
    if (earlier.some(([, channel]) => channel?.kept && channel.end !== VOID)) return 'kept';
    for (const [each, channel] of earlier) {
      this.#channels.set(keyOf(each), { ...(channel ?? emptyChannel(each, '')), end: VOID });
      this.#wake(each);
    }
    this.#channels.set(keyOf(name), {
      owner,
      from,
      count: from + entries.length,
      hash: after,
      entries: [...entries],
      end: end ?? before?.end,
      kept: true,
      readers: before?.readers ?? new Map(),
    });
    this.#wake(name);
    return 'held';
  }

  async startOver(channels: readonly Owned[]): Promise<'void' | 'kept' | 'taken'> {
    const open = channels.filter(({ name }) => this.#channels.get(keyOf(name))?.end !== VOID);
    for (const { name, owner } of channels) {
      const channel = this.#channels.get(keyOf(name));
      const writer = channel?.end === VOID ? this.#channels.get(keyOf(nextGeneration(name)))?.owner : channel?.owner;
      if (channel && (channel.owner !== owner || writer !== owner)) return 'taken';
      if (!channel || (channel.end !== VOID && (channel.end !== undefined || channel.kept))) return 'kept';
    }
    for (const { name, owner } of open) {
      const channel = this.#channels.get(keyOf(name)) as Kept;
      channel.end = VOID;
      channel.entries = [];
      this.#channels.set(keyOf(nextGeneration(name)), emptyChannel(nextGeneration(name), owner));
      this.#wake(name);
    }
    return 'void';
  }

  async keep(name: ChannelName): Promise<'kept' | 'void' | 'gone'> {
    const channel = this.#channels.get(keyOf(name));
    if (!channel) return 'gone';
    if (channel.end === VOID) return 'void';
    channel.kept = true;
    return 'kept';
  }

  async read(name: ChannelName, from: number, most: number): Promise<Held | undefined> {
    const kept = this.#channels.get(keyOf(name));
    return kept && held(kept, Math.max(from, kept.from), most);
  }

  async passed(name: ChannelName, reader: string, number: number): Promise<void> {
    this.#channels.get(keyOf(name))?.readers.set(reader, number);
  }

  async needed(name: ChannelName, besides: string): Promise<number | undefined> {
    const readers = [...(this.#channels.get(keyOf(name))?.readers ?? [])];
    const others = readers.flatMap(([reader, number]) => (reader === besides ? [] : [number]));
    return others.length === 0 ? undefined : Math.min(...others);
  }

  /** Forgets a channel, or all but its first entries, as a store that fails over does: for tests. */
  async lose(name: ChannelName, kept: number): Promise<void> {
    const channel = this.#channels.get(keyOf(name));
    if (kept === 0 || !channel) this.#channels.delete(keyOf(name));
    else {
      channel.hash = channel.entries[kept]?.before ?? channel.hash;
      channel.entries = channel.entries.slice(0, kept);
      channel.count = channel.from + channel.entries.length;
    }
  }

  listen(name: ChannelName, wake: () => void): () => void {
    const key = keyOf(name);
    const all = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, all.add(wake));
    return () => {
      if (all.delete(wake) && all.size === 0) this.#listeners.delete(key);
    };
  }

  #wake(name: ChannelName): void {
    for (const wake of this.#listeners.get(keyOf(name)) ?? []) wake();
  }
}

const keyOf = (name: ChannelName): string => JSON.stringify([name.run, name.path, calledWithin(name)]);

const emptyChannel = (name: ChannelName, owner: string): Kept => ({
  ...{ owner, count: 0, hash: startHash(name), from: 0, entries: [], end: undefined, kept: false },
  readers: new Map(),
});

const bytesOf = (entries: readonly Entry[]): number =>
  entries.reduce((sum, { before, text }) => sum + before.length + Buffer.byteLength(text), 0);

const held = ({ count, hash, from, entries, end }: Kept, at: number, most: number): Held => ({
  count,
  hash,
  from: at,
  entries: entries.slice(at - from, at - from + most),
  ...(end !== undefined && { end }),
});

function trim(kept: Kept): void {
  const least = Math.min(...kept.readers.values());
  if (!Number.isFinite(least)) return;
  const dropped = Math.max(0, Math.min(least - kept.from, kept.entries.length));
  kept.entries = kept.entries.slice(dropped);
  kept.from += dropped;
}
