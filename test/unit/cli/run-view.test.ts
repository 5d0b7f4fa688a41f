import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watch } from '../../../cli/run-view.js';
import { ClientError, type MillraceClient, type RunDocument } from '../../../client/index.js';

const running = { id: 'ask-1', status: 'running' } as RunDocument;
const ended = { id: 'ask-1', status: 'succeeded' } as RunDocument;
const away = (status: number, code: string, retryAfterMs?: number) =>
  new ClientError(status, { code, detail: 'away' }, retryAfterMs === undefined ? {} : { retryAfterMs });

/** A gateway that gives these answers, one a question, and then the last one again. */
function answering(...answers: readonly (RunDocument | Error)[]) {
  let asked = 0;
  const get = vi.fn(async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return { client: { get } as unknown as MillraceClient, get };
}

let notes: string[] = [];
beforeEach(() => {
  notes = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    notes.push(String(text));
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe('a run that is watched', () => {
  it('is asked about again where the gateway, or what it needs, is away for a while, with one note', async () => {
    const { client } = answering(
      running,
      away(0, 'GATEWAY_UNAVAILABLE'),
      away(503, 'ORCHESTRATOR_UNAVAILABLE'),
      away(429, 'RATE_LIMITED'),
      ended,
    );
    const seen: string[] = [];
    expect(await watch(client, 'ask-1', ({ status }) => seen.push(status))).toBe(ended);
    expect(seen).toEqual(['running', 'succeeded']);
    expect(notes.join('').match(/asked for again/g)).toHaveLength(1);
  });

  it('is not asked about before the time that the gateway states', async () => {
    const { client } = answering(away(429, 'RATE_LIMITED', 600), ended);
    const began = performance.now();
    await watch(client, 'ask-1', () => undefined);
    expect(performance.now() - began).toBeGreaterThan(550);
  });

  it('is not given up without a word of how to look at it', async () => {
    const { client, get } = answering(running, away(429, 'RATE_LIMITED', 3_600_000));
    await expect(watch(client, 'ask-1', () => undefined, 300)).rejects.toMatchObject({
      code: 'GATEWAY_UNAVAILABLE',
      message: expect.stringMatching(/RATE_LIMITED: away.*do not start it again.*millrace runs --id ask-1/),
    });
    expect(get.mock.calls.length).toBeLessThan(6);
  });

  it('is not waited for at a gateway that says nothing for longer than one that is away', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const get = vi.fn((_: string, { signal }: { signal?: AbortSignal } = {}) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    const client = { get } as unknown as MillraceClient;
    await expect(watch(client, 'ask-1', () => undefined, 1_500)).rejects.toMatchObject({
      code: 'GATEWAY_UNAVAILABLE',
      message: expect.stringMatching(/no answer within 150 ms.*do not start it again/),
    });
    expect(signals.length).toBeGreaterThan(1);
    expect(signals[0]?.aborted).toBe(true);
  });

  it('is asked about again after an answer that does not come', async () => {
    const answers = [new Promise<RunDocument>(() => undefined), Promise.resolve(ended)];
    const client = { get: () => answers.shift() } as unknown as MillraceClient;
    expect(await watch(client, 'ask-1', () => undefined, 2_000)).toBe(ended);
    expect(notes.join('').replace(/\s+/g, ' ')).toContain('no answer within 200 ms');
  });

  it('fails at once where another answer would be the same', async () => {
    const { client, get } = answering(away(404, 'RUN_NOT_FOUND'));
    await expect(watch(client, 'ask-1', () => undefined)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect(get).toHaveBeenCalledOnce();
    expect(notes).toEqual([]);
  });
});
