import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { Attempt } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { StagePlan } from '../../../../pipelines/plan/index.js';
import type { StageCall, StageOutcome } from '../../../../pipelines/run/index.js';
import { StageError } from '../../../../pipelines/run/stage-error.js';
import { InProcessHost } from '../../../../workers/hosts/in-process-host.js';
import type { Journal } from '../../../../workers/hosts/journal.js';

const OUTCOME: StageOutcome = {
  output: {},
  endpoint: '',
  device: '',
  attempt: 1,
  cache: 'off',
  queueMs: 0,
  runMs: 0,
};

const PLACED = { connector: 'code', device: '', queue: 'test' };

const stageOf = (attemptMs: number, attempts = 1): StagePlan => ({
  id: 'a',
  kind: 'code',
  model: 'a',
  with: {},
  input: {},
  policy: {
    retry: { attempts, initialMs: 1, factor: 1, maxMs: 1 },
    timeout: { attemptMs, totalMs: attemptMs * 2 },
    execution: 'inline',
  },
});

const callOf = (stage: string): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant: 'default',
  stage,
  kind: 'code',
  model: stage,
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
});

type Run = (attempt: Attempt, call: StageCall) => Promise<StageOutcome>;
const hostOf = (run: Run, more: { signal?: AbortSignal; journal?: Journal } = {}) =>
  new InProcessHost({ runner: { run: (_, call, attempt) => run(attempt, call) }, run: 'r', ...more });

/** Work that pays no attention to its signal. */
const deaf = () => new Promise<never>(() => undefined);

describe('an attempt in this process', () => {
  it('ends at its timeout though its work goes on, and tells the work why', async () => {
    let signal: AbortSignal | undefined;
    const host = hostOf((attempt) => {
      signal = attempt.signal;
      return deaf();
    });
    await expect(host.runStage(stageOf(30), {}, callOf('a'))).rejects.toMatchObject({
      code: 'STAGE_TIMEOUT',
      message: 'stage "a": timed out (limits: 30 ms an attempt, 60 ms in all)',
    });
    expect(signal?.reason).toMatchObject({ name: 'MillraceError', code: 'STAGE_TIMEOUT' });
  });

  it('ends when it is cancelled though its work goes on', async () => {
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    const run = hostOf(deaf, { signal: cancel.signal }).runStage(stageOf(60_000), {}, callOf('a'));
    setTimeout(() => cancel.abort(reason), 10);
    await expect(run).rejects.toBe(reason);
  });

  it('does not start when it is cancelled while the journal counts it', async () => {
    const cancel = new AbortController();
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => {
        cancel.abort(new Error('cancelled'));
        return 1;
      },
      end: async () => undefined,
      left: () => undefined,
      losses: () => 0,
      leftMs: () => undefined,
    };
    let calls = 0;
    const host = hostOf(
      async () => {
        calls += 1;
        return OUTCOME;
      },
      { signal: cancel.signal, journal },
    );
    await expect(host.runStage(stageOf(60_000), {}, callOf('a'))).rejects.toThrow('cancelled');
    expect(calls).toBe(0);
  });

  it('has no more time than earlier workers have left of its stage’s', async () => {
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => 2,
      end: async () => undefined,
      left: () => undefined,
      losses: () => 1,
      leftMs: () => 50,
    };
    const [before, host] = [Date.now(), hostOf(deaf, { journal })];
    const stage = stageOf(60_000);
    const limited = { ...stage, policy: { ...stage.policy, timeout: { ...stage.policy.timeout, totalMs: 50_000 } } };
    await expect(host.runStage(limited, {}, callOf('a'))).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
    expect(Date.now() - before).toBeLessThan(20_000);
  });

  it('tells its call when it ends: the timeout of the attempt, or what is left of the stage’s', async () => {
    const left: number[] = [];
    const run: Run = async ({ endsAt = Number.NaN }) => {
      left.push(endsAt - performance.now());
      return OUTCOME;
    };
    const stage = stageOf(600_000);
    const limited = { ...stage, policy: { ...stage.policy, timeout: { attemptMs: 600_000, totalMs: 300_000 } } };
    await hostOf(run).runStage(stage, {}, callOf('a'));
    await hostOf(run).runStage(limited, {}, callOf('a'));
    const [attempt = Number.NaN, total = Number.NaN] = left;
    expect(attempt).toBeGreaterThan(300_000);
    expect(attempt).toBeLessThanOrEqual(600_000);
    expect(total).toBeLessThanOrEqual(300_000);
  });

  it('may have more time than a timer of Node’s can be set for', async () => {
    const host = hostOf(async ({ signal }) => {
      await sleep(20, undefined, { signal });
      return OUTCOME;
    });
    await expect(host.runStage(stageOf(2 ** 32), {}, callOf('a'))).resolves.toBe(OUTCOME);
  });
});

it('a wait may be longer than a timer of Node’s', async () => {
  const cancel = new AbortController();
  const host = hostOf(deaf, { signal: cancel.signal });
  setTimeout(() => cancel.abort(), 30);
  await expect(host.wait(2 ** 32)).rejects.toThrow();
});

describe('when the journal is lost', () => {
  /** Begins one call; of the second and all after it nothing is known any more. */
  const lostAfterOne = (): Journal => {
    let begun = 0;
    return {
      ended: () => undefined,
      begin: async () => {
        begun += 1;
        if (begun > 1) throw new StageError('JOURNAL_UNAVAILABLE', 'away');
        return begun;
      },
      end: async () => undefined,
      left: () => undefined,
      losses: () => 0,
      leftMs: () => undefined,
    };
  };

  it('calls that are under way end first', async () => {
    const events: string[] = [];
    const host = hostOf(
      async () => {
        await sleep(40);
        return OUTCOME;
      },
      { journal: lostAfterOne() },
    );
    const race = host.race([
      async (inner) => {
        await inner.runStage(stageOf(60_000), {}, callOf('first'), PLACED);
        events.push('first ended');
        return deaf();
      },
      (inner) =>
        inner
          .race([(innermost) => innermost.runStage(stageOf(60_000), {}, callOf('second'), PLACED)])
          .catch((error) => {
            events.push('second is lost');
            throw error;
          }),
    ]);
    await expect(race).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(events).toEqual(['first ended', 'second is lost']);
  });

  it('a stage that waits for its next attempt holds nobody up', async () => {
    const host = hostOf(
      async () => {
        throw new Error('fails');
      },
      { journal: lostAfterOne() },
    );
    await expect(host.runStage(stageOf(60_000, 3), {}, callOf('a'))).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(host.runStage(stageOf(60_000, 3), {}, callOf('a'))).rejects.toMatchObject({
      code: 'JOURNAL_UNAVAILABLE',
    });
  });
});

describe('a call in which workers were lost', () => {
  const withLosses = (losses: number) => {
    const ends: unknown[] = [];
    const begun: string[] = [];
    const journal: Journal = {
      ended: () => undefined,
      begin: async ({ stage }) => begun.push(stage),
      end: (_, ended) => void ends.push(ended),
      left: () => undefined,
      losses: () => losses,
      leftMs: () => undefined,
    };
    return { journal, ends, begun };
  };

  it('runs again after one', async () => {
    const { journal } = withLosses(1);
    await expect(hostOf(async () => OUTCOME, { journal }).runStage(stageOf(60_000, 6), {}, callOf('a'))).resolves.toBe(
      OUTCOME,
    );
  });

  it('fails after two in a row, for good and without another call', async () => {
    const { journal, ends, begun } = withLosses(2);
    const run = hostOf(async () => OUTCOME, { journal }).runStage(stageOf(60_000, 6), {}, callOf('a'));
    await expect(run).rejects.toMatchObject({ code: 'WORKER_LOST', details: { stage: 'a' } });
    expect(begun).toEqual([]);
    expect(ends).toMatchObject([{ failure: { code: 'WORKER_LOST' } }]);
  });

  it('is made again with the collected values after a lost stream, though its policy has one attempt', async () => {
    let begun = 0;
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => ++begun,
      end: () => undefined,
      // As the journal of a segment: an attempt that waits for a server is not counted.
      left: (_, waitedMs) => {
        if (waitedMs !== undefined) begun -= 1;
      },
      losses: () => 0,
      leftMs: () => undefined,
    };
    const run: Run = async (_, { reads }) => {
      if (reads) throw new MillraceError('STREAM_LOST', 'gone');
      return OUTCOME;
    };
    const reading = { ...callOf('a'), reads: { text: { path: 'b', of: 'sentences' } } };
    const host = hostOf(run, { journal });
    await expect(host.runStage(stageOf(60_000), {}, reading)).rejects.toMatchObject({ code: 'STREAM_LOST' });
    await expect(host.runStage(stageOf(60_000), {}, callOf('a'))).resolves.toBe(OUTCOME);
  });

  it('tells its journal when nothing is sent: a loss does not count meanwhile', async () => {
    const told: string[] = [];
    const { journal } = withLosses(0);
    const resting: Journal = {
      ...journal,
      rest: ({ stage }) => {
        told.push(`${stage} rests`);
        return async () => void told.push(`${stage} goes on`);
      },
    };
    const run: Run = async ({ rest }) => {
      const goOn = rest?.();
      expect(told).toEqual(['a rests']);
      await goOn?.();
      return OUTCOME;
    };
    await hostOf(run, { journal: resting }).runStage(stageOf(60_000), {}, callOf('a'));
    expect(told).toEqual(['a rests', 'a goes on']);
  });

  it('tells its journal of each attempt that ends without a result, one that is cancelled too', async () => {
    const left: string[] = [];
    const cancel = new AbortController();
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => left.length + 1,
      end: () => undefined,
      left: ({ stage }) => void left.push(stage),
      losses: () => 0,
      leftMs: () => undefined,
    };
    let calls = 0;
    const run = hostOf(
      () => {
        calls += 1;
        if (calls === 1) return Promise.reject(new MillraceError('BACKEND_ERROR', 'once'));
        cancel.abort(new Error('cancelled'));
        return deaf();
      },
      { journal, signal: cancel.signal },
    ).runStage(stageOf(60_000, 3), {}, callOf('a'));
    await expect(run).rejects.toThrow('cancelled');
    expect(left).toEqual(['a', 'a']);
  });

  it('asks before a call that has waited for its turn whether another worker has the journal by then', async () => {
    const real = performance.now.bind(performance);
    let ahead = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead);
    let asked = 0;
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => 1,
      end: async () => undefined,
      left: () => undefined,
      losses: () => 0,
      leftMs: () => undefined,
      held: async () => {
        asked += 1;
        throw new MillraceError('JOURNAL_UNAVAILABLE', 'another worker has taken over the journal');
      },
    };
    let made = 0;
    const call: Run = async ({ mayBegin }) => {
      await mayBegin?.();
      expect(asked, 'it has just begun').toBe(0);
      ahead += 5_000;
      await mayBegin?.();
      made += 1;
      return OUTCOME;
    };
    const run = hostOf(call, { journal }).runStage(stageOf(60_000), {}, callOf('a'));
    await expect(run).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    clock.mockRestore();
    expect([asked, made]).toEqual([1, 0]);
  });
});
