import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ChunkLimits, watched } from '../../../../activities/stage/chunk-watch.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A call that stays open until its signal aborts, as a connector's does. */
function call(limits: ChunkLimits, outer = new AbortController().signal) {
  let emit: (chunk: string | number) => void = () => undefined;
  let answer: (text: string) => void = () => undefined;
  const result = watched(limits, outer, (signal, emits) => {
    emit = emits;
    return new Promise<string>((resolve, reject) => {
      answer = resolve;
      signal.addEventListener('abort', () => reject(new Error('the client’s own error')));
    });
  });
  const code = result.then(
    (text) => text,
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
  let ended: string | undefined;
  void code.then((value) => {
    ended = value;
  });
  return {
    code,
    ended: () => ended,
    emit: (chunk: string | number) => emit(chunk),
    answer: (text: string) => answer(text),
  };
}

describe('a watched call', () => {
  it('ends when its first chunk does not come', async () => {
    const { code, ended } = call({ firstChunkMs: 500 });
    await vi.advanceTimersByTimeAsync(499);
    expect(ended()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(await code).toBe('FIRST_CHUNK_TIMEOUT');
  });

  it('takes an empty chunk for none', async () => {
    const { code, emit } = call({ firstChunkMs: 500, idleMs: 50 });
    await vi.advanceTimersByTimeAsync(100);
    emit('');
    emit(0);
    await vi.advanceTimersByTimeAsync(400);
    expect(await code).toBe('FIRST_CHUNK_TIMEOUT');
  });

  it('may take its time after the first chunk where nothing limits that', async () => {
    const { ended, emit, answer, code } = call({ firstChunkMs: 500 });
    emit('a');
    await vi.advanceTimersByTimeAsync(100_000);
    expect(ended()).toBeUndefined();
    answer('done');
    expect(await code).toBe('done');
  });

  it('ends when it falls silent between chunks', async () => {
    const { code, ended, emit } = call({ idleMs: 100 });
    await vi.advanceTimersByTimeAsync(10_000); // nothing limits the first
    for (let i = 0; i < 50; i++) {
      emit(i % 2 ? 'word' : 160);
      await vi.advanceTimersByTimeAsync(90);
    }
    expect(ended()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(10);
    expect(await code).toBe('IDLE_TIMEOUT');
  });

  it.each(['', 0])('lives on by empty chunks (%j) once the first has come', async (empty) => {
    const { code, ended, emit } = call({ firstChunkMs: 500, idleMs: 100 });
    emit('a');
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(90);
      emit(empty);
    }
    await vi.advanceTimersByTimeAsync(99);
    expect(ended()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(await code).toBe('IDLE_TIMEOUT');
  });

  it('has its first chunk in an empty one where a reply may be of tool calls alone', async () => {
    const { code, ended, emit, answer } = call({ firstChunkMs: 500, idleMs: 100, emptyCounts: true });
    await vi.advanceTimersByTimeAsync(400);
    for (let i = 0; i < 5; i++) {
      emit('');
      await vi.advanceTimersByTimeAsync(90);
    }
    expect(ended()).toBeUndefined();
    answer('done');
    expect(await code).toBe('done');
  });

  it('ends as its caller says, for the call’s own reason', async () => {
    const controller = new AbortController();
    const { code } = call({ firstChunkMs: 500 }, controller.signal);
    controller.abort(new Error('cancelled'));
    expect(await code).toBe('the client’s own error');
  });

  it('leaves no timer behind', async () => {
    const { emit, answer, code } = call({ firstChunkMs: 500, idleMs: 100 });
    emit('a');
    answer('done');
    await code;
    expect(vi.getTimerCount()).toBe(0);
  });
});
