import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { CodeStreams } from '../../../../activities/streams/code-streams.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import type { Standing } from '../../../../stores/channels/channel.js';
import { type ChannelLog, ChannelWriter, keepChannel, readStream } from '../../../../stores/channels/index.js';
import { AwayLog } from '../../../support/away-log.js';

const name = { run: 'r', path: 'made', of: 'entries' };

/** A store that can be without room. */
class FullLog extends AwayLog {
  full = false;

  override append(...given: Parameters<ChannelLog['append']>): Promise<Standing> {
    return this.full && !this.away ? Promise.resolve('full' as const) : super.append(...given);
  }
}

test('a function keeps its slot while the store is away, and leaves it a second after the store has no room', async () => {
  const log = new FullLog();
  const ends = new AbortController();
  const { signal } = ends;
  const writer = await ChannelWriter.open(log, name, { signal, ttlMs: 60_000 });
  let isLeft = false;
  const slot = {
    leave: () => {
      isLeft = true;
      return true;
    },
    take: async () => {
      isLeft = false;
    },
  };
  const call = { stage: 'made' } as StageCall;
  const streams = new CodeStreams(
    call,
    { signal, slot },
    {
      read: (_, options) => readStream(log, name, options),
      keep: (_, generation, ended) => keepChannel(log, { ...name, generation }, ended),
      writer,
      onLate: () => undefined,
    },
  );
  try {
    log.away = true;
    const adding = streams.add(1);
    await sleep(1_500);
    expect(isLeft).toBe(false);
    log.full = true;
    log.away = false;
    const began = performance.now();
    await vi.waitFor(() => expect(isLeft).toBe(true), { timeout: 20_000 });
    expect(performance.now() - began).toBeGreaterThan(900);
    log.full = false;
    await adding;
    expect(isLeft).toBe(false);
  } finally {
    streams.close();
    ends.abort();
  }
});
