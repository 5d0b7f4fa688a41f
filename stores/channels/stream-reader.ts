import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelEnd, ChannelLog, ChannelName } from './channel.js';
import { type Position, type ReadEntry, type ReaderOptions, readChannel } from './channel-reader.js';
import { lost } from './channel-writer.js';
import { Missing } from './missing.js';

/** Behind which entry of a stream a reader goes on. */
export interface StreamPosition extends Position {
  /** Of the channel; absent: the first one. */
  readonly generation?: number;
}

export interface StreamEntry extends ReadEntry {
  readonly generation: number;
}

export interface StreamReaderOptions extends ReaderOptions {
  readonly after?: StreamPosition;
  /** Whether the reader has kept the stream: it cannot begin anew. */
  readonly kept: () => boolean;
}

/**
 * The entries of a stream whose producer may start over: those of the next generation, from the first one on, when a channel has become
 * void. What was read before is void too. Returns the end of the last generation. Throws as `readChannel`, and `STREAM_LOST` if
 * a stream becomes void that the reader has kept: the store has lost that.
 */
export async function* readStream(
  log: ChannelLog,
  name: ChannelName,
  { after, kept, ...options }: StreamReaderOptions,
): AsyncGenerator<StreamEntry, ChannelEnd> {
  let position: StreamPosition | undefined = after;
  for (let generation = after?.generation ?? 0; ; generation += 1) {
    const entries = readChannel(log, { ...name, generation }, { ...options, ...(position && { after: position }) });
    try {
      let next = await entries.next();
      for (; !next.done; next = await entries.next()) yield { ...next.value, generation };
      if (next.value.as !== 'void') return next.value;
    } finally {
      await entries.return(undefined as never);
    }
    if (kept()) throw lost(name);
    position = undefined;
  }
}

/** Pause before a store that cannot be reached, or has lost the channel, is asked again, in milliseconds. */
const PAUSE_MS = 100;

/**
 * Keeps a channel: something was made of its entries, so its producer cannot start over. False if it already has. Waits for a store that
 * cannot be reached a minute, and for a live writer to store the channel again 15 s; then `STREAM_LOST`. Throws the signal's reason.
 */
export async function keepChannel(log: ChannelLog, name: ChannelName, signal: AbortSignal): Promise<boolean> {
  const missing = new Missing(name);
  for (;;) {
    signal.throwIfAborted();
    const standing = await log.keep(name).catch(() => 'away' as const);
    if (standing === 'away') missing.store(true);
    else if (standing === 'gone') missing.entries(true);
    else return standing === 'kept';
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}
