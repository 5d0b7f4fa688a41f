import { expect, it } from 'vitest';
import { type ChannelLog, ChannelWriter, MemoryChannelLog } from '../../../../stores/channels/index.js';

const HOUR_MS = 3_600_000;

/** Notes for how long the store is to keep a channel after each write. */
class NotingLog extends MemoryChannelLog {
  readonly kept: { readonly ended: boolean; readonly ttlMs: number }[] = [];

  override append(...given: Parameters<ChannelLog['append']>) {
    const [, { end, ttlMs }] = given;
    this.kept.push({ ended: end !== undefined, ttlMs });
    return super.append(...given);
  }
}

it.each([
  ['its run may read it', 6 * HOUR_MS, 6 * HOUR_MS],
  ['an hour, for a client that has lost its network', 900_000, HOUR_MS],
])('a channel is kept after its end for as long as %s', async (_, ttlMs, expected) => {
  const log = new NotingLog();
  const signal = new AbortController().signal;
  const writer = await ChannelWriter.open(log, { run: 'r', path: 'answer', of: 'sentences' }, { signal, ttlMs });
  writer.add('one');
  await writer.settled();
  await writer.end({ as: 'done' });
  expect(log.kept).toEqual([
    { ended: false, ttlMs },
    { ended: true, ttlMs: expected },
  ]);
});
