import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/index.js';
import { pace, sampleSequences } from '../../../../measure/profiling/sample-sequences.js';

const timedAt = (startedAt: number, pieces: readonly number[], outputTokens?: number) => ({
  reply: { output: {}, ...(outputTokens !== undefined && { usage: { outputTokens } }) },
  startedAt,
  pieces,
  endedAt: (pieces.at(-1) ?? startedAt) + 1,
});

describe('the time of a token', () => {
  it('is taken while all sequences are written', () => {
    const long = timedAt(0, [10, 20, 30, 40, 50, 60]);
    expect(pace([long])).toEqual([10]);
    // The second is read until 35: what the first does before does not count.
    expect(pace([long, timedAt(0, [35, 45, 55])])).toEqual([10, 10]);
    expect(pace([long, timedAt(0, [70, 80])])).toEqual([]);
  });

  it('is that of a piece shared by its tokens', () => {
    expect(pace([timedAt(0, [10, 30, 50], 6)])).toEqual([10]);
  });
});

/** A server with as many slots as this: what comes beyond waits until one is free. */
function writing(slots: number, streams = true): Backend {
  let free = slots;
  const queue: (() => void)[] = [];
  return {
    endpoint: 'test',
    async invoke({ with: options, input }, { emit }) {
      if (free === 0) await new Promise<void>((go) => queue.push(go));
      else free -= 1;
      const tokens = Number(options.maxTokens);
      for (let i = 0; i < tokens; i += 1) {
        await sleep(3);
        if (streams) emit('word');
      }
      const next = queue.shift();
      if (next) next();
      else free += 1;
      return { output: {}, usage: { inputTokens: String(input.prompt).length, outputTokens: tokens } };
    },
    probe: async () => undefined,
    fingerprint: async () => 'w',
    close: () => undefined,
  };
}

describe('what an LLM takes', () => {
  const subject = (backend: Backend) => ({
    ...{ backend, model: 'm', samples: 5, timeLimitMs: 0, batches: [1, 2, 4] },
    audio: { read: () => never(), write: () => never() },
    signal: new AbortController().signal,
  });

  it('is measured by prompts, and by sequences up to what it writes at once', async () => {
    const samples = await sampleSequences(subject(writing(2)), { system: 'Be brief.', schema: {} });
    expect(samples.prefill).toHaveLength(4);
    expect(samples.size.typicalIn).toBe(samples.prefill[1]?.tokens);
    const tokens = samples.prefill.map((row) => row.tokens);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    // With the shortest prompts and with the longest.
    expect(samples.decode.map(({ batch }) => batch)).toEqual([1, 1, 2, 2]);
    expect((samples.decode[1]?.tokens ?? 0) - (samples.decode[0]?.tokens ?? 0)).toBeGreaterThan(6_000);
    for (const { ms } of samples.decode) for (const each of ms) expect(each).toBeGreaterThan(0);
  }, 60_000);

  it('cannot be said of one that does not stream', async () => {
    const silent = sampleSequences(subject(writing(4, false)), {});
    await expect(silent).rejects.toMatchObject({ code: 'PROFILE_UNMEASURED' });
  }, 60_000);
});

function never(): never {
  throw new Error('no audio is read');
}
