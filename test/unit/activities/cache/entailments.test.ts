import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Entailments } from '../../../../activities/cache/entailments.js';
import type { Claim, Entailment } from '../../../../activities/cache/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { never, request } from '../../../support/caches.js';

const verifier = { entailment: 'nli', label: 'entailment', timeoutMs: 500 };
const asked = (key: string, tenant = 'acme') => request(key, { tenant, maxErrorRate: 0.05, verifier });

type Answer = (claims: readonly Claim[], signal: AbortSignal) => readonly unknown[] | Promise<readonly unknown[]>;

/** Entailments of a model that a script stands for. */
function open(answer: Answer, identity: (signal: AbortSignal) => Promise<string> = async () => 'weights-1') {
  const sent: { claims: readonly Claim[]; tenant: string }[] = [];
  const failures: unknown[] = [];
  const model: Entailment = {
    identity,
    async scores(claims, signal, { tenant }) {
      sent.push({ claims, tenant });
      return answer(claims, signal);
    },
  };
  const metrics = createMetrics();
  const onFailure = (_: unknown, error: unknown) => void failures.push(error);
  const entailments = new Entailments({ entailmentFor: () => model, metrics, onFailure });
  return {
    entailments,
    sent,
    failures,
    of: (cached: string, key: string, tenant?: string, signal = never()) =>
      entailments.of(asked(key, tenant), verifier, 'weights-1', cached, signal),
    async outcomes() {
      const { values } = await metrics.cacheEntailments.get();
      return Object.fromEntries(values.map(({ labels, value }) => [labels.outcome, value]));
    },
  };
}

/** A model that answers only when its call is aborted. */
const silent: Answer = (_, signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

describe('what a model of entailment says of two texts', () => {
  it('is asked for in both directions by one call, and is the lesser of both', async () => {
    const { of, sent, outcomes } = open((claims) => claims.map(([premise]) => (premise === 'A dog?' ? 0.9 : 0.3)));
    expect(await of('A dog?', 'A brown dog?')).toBe(0.3);
    expect(sent).toEqual([
      {
        claims: [
          ['A dog?', 'A brown dog?'],
          ['A brown dog?', 'A dog?'],
        ],
        tenant: 'acme',
      },
    ]);
    expect(await outcomes()).toEqual({ scored: 1 });
  });

  it.each<[string, readonly unknown[]]>([
    ['no score', []],
    ['one score for two directions', [0.9]],
    ['a score too many', [0.9, 0.9, 0.9]],
    ['NaN', [Number.NaN, 0.9]],
    ['infinity', [0.9, Number.POSITIVE_INFINITY]],
    ['a text', ['0.9', 0.9]],
    ['nothing', [undefined, null]],
    ['a logit', [4.2, 0.9]],
    ['less than 0', [-0.2, 0.9]],
  ])('is nothing where the model gives %s', async (_, scores) => {
    const { of, failures, outcomes } = open(() => scores);
    expect(await of('A', 'B')).toBeUndefined();
    expect(failures).toMatchObject([{ code: 'INVALID_OUTPUT' }]);
    expect(await outcomes()).toEqual({ failed: 1 });
  });

  it('may be rounded', async () => {
    const { of } = open(() => [1.0004, 1.0002]);
    expect(await of('A', 'B')).toBe(1);
  });

  it('is not asked for of texts that the model would not read to their end', async () => {
    const { of, sent, outcomes } = open(() => [1, 1]);
    expect(await of('x'.repeat(251), 'y'.repeat(250))).toBeUndefined();
    expect(await of('x'.repeat(250), 'y'.repeat(250))).toBe(1);
    expect(sent).toHaveLength(1);
    expect(await outcomes()).toEqual({ long: 1, scored: 1 });
  });

  it('is asked for once: equal pairs at the same time share a call, later ones its score', async () => {
    const waiting: ((scores: readonly number[]) => void)[] = [];
    const { of, sent, outcomes } = open(() => new Promise((resolve) => waiting.push(resolve)));
    const both = [of('A', 'B'), of('A', 'B')];
    await vi.waitFor(() => expect(waiting).toHaveLength(1), 15_000);
    waiting[0]?.([0.8, 0.7]);
    expect(await Promise.all(both)).toEqual([0.7, 0.7]);
    expect(await of('A', 'B')).toBe(0.7);
    expect(sent).toHaveLength(1);
    expect(await outcomes()).toEqual({ scored: 2, known: 1 });
    // Another tenant's call is its own.
    const other = of('A', 'B', 'other');
    await vi.waitFor(() => expect(waiting).toHaveLength(2), 15_000);
    waiting[1]?.([0.8, 0.7]);
    expect(await other).toBe(0.7);
  });

  it('goes on for those who wait when one of them leaves, and ends when all have left', async () => {
    const signals: AbortSignal[] = [];
    const { of, failures } = open((claims, signal) => {
      signals.push(signal);
      return silent(claims, signal);
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const calls = [of('A', 'B', 'acme', first.signal), of('A', 'B', 'acme', second.signal)];
    await vi.waitFor(() => expect(signals).toHaveLength(1), 15_000);
    const reason = new Error('cancelled');
    first.abort(reason);
    await expect(calls[0]).rejects.toBe(reason);
    expect(signals[0]?.aborted).toBe(false);
    second.abort(reason);
    await expect(calls[1]).rejects.toBe(reason);
    expect(signals[0]?.aborted).toBe(true);
    // Who leaves says nothing about the model.
    expect(failures).toEqual([]);
  });

  it('is not asked for by a lookup that is cancelled as it begins', async () => {
    const { of, sent } = open(silent);
    const abort = new AbortController();
    const call = of('A', 'B', 'acme', abort.signal);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(sent).toEqual([]);
  });

  it('has an identity that is asked for every ten seconds at most, and depends on the label', async () => {
    let asks = 0;
    const { entailments } = open(
      () => [1, 1],
      async () => {
        asks += 1;
        return 'weights';
      },
    );
    expect(entailments.known(verifier)).toBeUndefined();
    const identity = (label: string) => entailments.identity(asked('A'), { ...verifier, label }, never());
    const first = await identity('entailment');
    expect(await identity('entailment')).toBe(first);
    expect(entailments.known({ ...verifier, timeoutMs: 1 })).toBe(first);
    expect(asks).toBe(1);
    expect(await identity('duplicate')).not.toBe(first);
  });
});

describe('the identity of a model', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  /** Lets calls begin; no limit passes meanwhile. */
  const begun = () => vi.advanceTimersByTimeAsync(0);

  it('is asked for once by all lookups that wait for it at the same time, of whatever tenant', async () => {
    const waiting: ((identity: string) => void)[] = [];
    const { entailments } = open(
      () => [1, 1],
      () => new Promise((resolve) => waiting.push(resolve)),
    );
    const all = ['acme', 'acme', 'other'].map((tenant) => entailments.identity(asked('A', tenant), verifier, never()));
    await begun();
    expect(waiting).toHaveLength(1);
    waiting[0]?.('weights');
    const [first, ...others] = await Promise.all(all);
    expect(first).toEqual(expect.any(String));
    expect(others).toEqual([first, first]);
    expect(waiting).toHaveLength(1);
  });

  it('holds up eight lookups of a tenant at most, and none of another one', async () => {
    let say = (_: string) => {};
    const { entailments, outcomes } = open(
      () => [1, 1],
      () =>
        new Promise((resolve) => {
          say = resolve;
        }),
    );
    const identity = (tenant = 'acme') => entailments.identity(asked('A', tenant), verifier, never());
    const held = Array.from({ length: 8 }, () => identity());
    expect(await identity()).toBeUndefined();
    expect(await outcomes()).toEqual({ busy: 1 });
    const other = identity('other');
    await begun();
    say('weights');
    expect(new Set(await Promise.all([...held, other])).size).toBe(1);
    expect(await identity()).toEqual(expect.any(String));
  });

  it('goes on to be asked for when one of those who wait leaves, and no longer when all have left', async () => {
    const signals: AbortSignal[] = [];
    const { entailments, failures } = open(
      () => [1, 1],
      (signal) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    );
    const [first, second] = [new AbortController(), new AbortController()];
    const calls = [first, second].map(({ signal }) => entailments.identity(asked('A'), verifier, signal));
    await begun();
    expect(signals).toHaveLength(1);
    const reason = new Error('cancelled');
    first.abort(reason);
    await expect(calls[0]).rejects.toBe(reason);
    expect(signals[0]?.aborted).toBe(false);
    second.abort(reason);
    await expect(calls[1]).rejects.toBe(reason);
    expect(signals[0]?.aborted).toBe(true);
    expect(failures).toEqual([]);
  });
});

describe('a model of entailment that fails', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const EVER = expect.any(String);
  const late = async <T>(work: Promise<T>): Promise<T> => {
    await vi.advanceTimersByTimeAsync(500);
    return work;
  };

  it('is waited for no longer than its limit, and its call ends', async () => {
    const signals: AbortSignal[] = [];
    const { of, outcomes } = open((claims, signal) => {
      signals.push(signal);
      return silent(claims, signal);
    });
    expect(await late(of('A', 'B'))).toBeUndefined();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(await outcomes()).toEqual({ late: 1 });
  });

  it('has one limit for its identity and its score together', async () => {
    const { entailments, sent, outcomes } = open(
      silent,
      () => new Promise((resolve) => setTimeout(() => resolve('weights'), 400)),
    );
    const said = entailments.ask(asked('B'), verifier, 'A', never());
    await vi.advanceTimersByTimeAsync(400);
    expect(sent).toHaveLength(1);
    expect(await outcomes()).toEqual({});
    await vi.advanceTimersByTimeAsync(100);
    expect(await said).toBeUndefined();
    expect(await outcomes()).toEqual({ late: 1 });
  });

  it('says with its score whose it is', async () => {
    const { entailments } = open(() => [0.9, 0.8]);
    const said = await entailments.ask(asked('B'), verifier, 'A', never());
    expect(said).toEqual({ identity: entailments.known(verifier), entailment: 0.8 });
  });

  it('is not waited for by an identity that never comes', async () => {
    const { entailments } = open(
      () => [1, 1],
      () => new Promise<string>(() => undefined),
    );
    expect(await late(entailments.identity(asked('A'), verifier, never()))).toBeUndefined();
  });

  it('rests for ten seconds after three failures, for the tenant that has them; then one lookup tries it', async () => {
    let works = false;
    const { of, sent, outcomes } = open((claims) => {
      if (works) return claims.map(() => 0.9);
      throw new MillraceError('BACKEND_RATE_LIMITED', 'too many calls');
    });
    for (const key of ['B', 'C', 'D', 'E', 'F']) expect(await of('A', key)).toBeUndefined();
    expect(sent).toHaveLength(3);
    expect(await outcomes()).toEqual({ failed: 3, resting: 2 });
    works = true;
    expect(await of('A', 'B', 'other')).toBe(0.9);
    expect(await of('A', 'B')).toBeUndefined();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await Promise.all([of('A', 'B'), of('A', 'C')])).toEqual([0.9, undefined]);
    expect(await of('A', 'C')).toBe(0.9);
  });

  it('has failed once in a call that fails, however many lookups have waited for it', async () => {
    let works = false;
    const { of, sent, failures, outcomes } = open(async (claims) => {
      if (works) return claims.map(() => 0.9);
      throw new MillraceError('BACKEND_ERROR', 'the server fell over');
    });
    expect(await Promise.all(Array.from({ length: 5 }, () => of('A', 'B')))).toEqual(Array(5).fill(undefined));
    expect(sent).toHaveLength(1);
    expect(failures).toHaveLength(1);
    expect(await outcomes()).toEqual({ failed: 5 });
    works = true;
    expect(await of('A', 'C')).toBe(0.9);
  });

  it('has failed once for each tenant in a question for its identity that is too late, which is not joined then', async () => {
    let asks = 0;
    const { entailments, outcomes } = open(
      () => [1, 1],
      () => {
        asks += 1;
        return new Promise(() => undefined);
      },
    );
    const identity = (tenant = 'acme') => entailments.identity(asked('A', tenant), verifier, never());
    for (let call = 1; call <= 3; call++) {
      expect(await late(Promise.all([identity(), identity(), identity('other')]))).toEqual(Array(3).fill(undefined));
      expect(asks).toBe(call);
    }
    expect(await outcomes()).toEqual({ late: 9 });
    // After three calls, not after three lookups.
    expect(await Promise.all([identity(), identity('other')])).toEqual([undefined, undefined]);
    expect(await outcomes()).toEqual({ late: 9, resting: 2 });
    expect(asks).toBe(3);
  });

  it('is not waited for by ever new lookups that join one call', async () => {
    let asks = 0;
    const { entailments, outcomes } = open(
      () => [1, 1],
      () => {
        asks += 1;
        return new Promise(() => undefined);
      },
    );
    const identity = () => entailments.identity(asked('A'), verifier, never());
    const all: Promise<string | undefined>[] = [];
    // One comes every 300 ms, so that somebody always waits.
    for (let lookup = 0; lookup < 10; lookup++) {
      all.push(identity());
      await vi.advanceTimersByTimeAsync(300);
    }
    await vi.advanceTimersByTimeAsync(500);
    expect(await Promise.all(all)).toEqual(Array(10).fill(undefined));
    expect(asks).toBe(3);
    expect((await outcomes()).resting).toBeGreaterThan(0);
  });

  it('is asked again after its rest, also where it has to be identified anew', async () => {
    let works = false;
    const { entailments, of } = open((claims) => (works ? claims.map(() => 0.9) : []));
    const identity = () => entailments.identity(asked('B'), verifier, never());
    for (const key of ['B', 'C', 'D']) expect([await identity(), await of('A', key)]).toEqual([EVER, undefined]);
    await vi.advanceTimersByTimeAsync(9_000);
    expect([await identity(), await of('A', 'B')]).toEqual([EVER, undefined]);
    await vi.advanceTimersByTimeAsync(15_000);
    works = true;
    expect(entailments.known(verifier)).toBeUndefined();
    expect([await identity(), await of('A', 'B')]).toEqual([EVER, 0.9]);
  });

  it('holds up eight lookups of a tenant at most, and none of another one', async () => {
    const { of, sent, outcomes } = open(silent);
    const held = Array.from({ length: 8 }, (_, i) => of('A', `B${i}`));
    await vi.advanceTimersByTimeAsync(0);
    expect(await of('A', 'C')).toBeUndefined();
    expect(await outcomes()).toEqual({ busy: 1 });
    const other = of('A', 'C', 'other');
    await vi.advanceTimersByTimeAsync(0);
    expect(sent.map(({ tenant }) => tenant)).toEqual([...Array(8).fill('acme'), 'other']);
    await vi.advanceTimersByTimeAsync(500);
    expect(await Promise.all([...held, other])).toEqual(Array(9).fill(undefined));
  });
});
