import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createConnectors } from '../../activities/connectors/index.js';
import type { Attempt } from '../../activities/stage/stage-runner.js';
import { chat, code, infer, type Pipeline, pipeline, type StageOptions, tensor } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import type { Settings } from '../../workers/settings.js';
import { address, connect, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { LATE_ONCE } from '../support/soonest.js';
import { StormyLlm } from '../support/stormy-llm.js';
import { TestWorker } from '../support/test-worker.js';
import { type WatchedServer, watchedLlm, watchedTriton } from '../support/watched-servers.js';

/**
 * Whatever ends a call early, its model server stops working on it within a second, by its own count. The servers are given
 * work of half a minute and more, so that none of it ends by itself.
 */
const WITHIN_MS = 1_000;
/** Time between two looks at a server's counters. */
const POLL_MS = 20;
/** A call that has begun is at its server within this time. */
const UNDER_WAY_MS = 500;
/** The LLM server notices that a connection is closed when it sends the next token; the one after that may be under way. */
const NOTICED_AFTER_STEPS = 2;
/** When it is plain that the server does not stop. */
const GIVE_UP_MS = 15_000;
const DEADLINE = { text: '2500ms', ms: 2_500 } as const;
const ATTEMPT = { text: '2s', ms: 2_000 } as const;
/** Above the time in which a call is under way. */
const HEDGE = '1s';
/** Of the real servers: a first call waits for one of them, also while the last call is counted as theirs. */
const DEVICE = 'cpu0';
const QUEUE = `cancellation-${randomUUID()}`;

type Trace = Parameters<Parameters<typeof pipeline>[2]>[0];
type Options = Pick<StageOptions<unknown, unknown>, 'execution' | 'retry' | 'timeout' | 'hedge'>;

const quick = code('quick', { input: z.object({}), output: z.object({}) }, () => ({}));

/** A server and the stage that keeps it busy. */
interface Busy {
  readonly server: () => WatchedServer;
  work(trace: Trace, options: Options): object;
  /** The same with a hedge whose second call is answered at once. */
  hedged(trace: Trace, options: Options): object;
  /** Calls that the server itself has ended when the hedge has. */
  readonly hedgedCalls: number;
}

const int32 = (...data: number[]) => ({ dtype: 'INT32' as const, shape: [data.length], data });
const number = tensor({ dtype: 'INT32', shape: [1] });
/** A minute of counting. */
const counting = ({ stage }: Trace, model: string, options: Options) =>
  stage(
    'work',
    infer({
      model,
      inputs: { COUNT: number, DELAY_MS: number },
      outputs: { LEFT: tensor({ dtype: 'INT32', shape: [1, -1] }) },
    }),
    { COUNT: int32(600), DELAY_MS: int32(100) },
    options,
  );
const writing = ({ stage }: Trace, model: string, options: Options) =>
  stage('work', chat({ model, maxTokens: 3_000 }), { prompt: 'Write a very long story about a river.' }, options);

let triton: WatchedServer;
let llm: WatchedServer;
const SERVERS: Readonly<Record<string, Busy>> = {
  Triton: {
    server: () => triton,
    work: (trace, options) => counting(trace, 'countdown', options),
    hedged: (trace, options) => counting(trace, 'overtaking', { ...options, hedge: { after: HEDGE } }),
    hedgedCalls: 2,
  },
  'the LLM server': {
    server: () => llm,
    work: (trace, options) => writing(trace, 'story', options),
    hedged: (trace, options) => writing(trace, 'hedged-story', { ...options, hedge: { after: HEDGE } }),
    // The other is the stand-in's.
    hedgedCalls: 1,
  },
};

interface Run {
  readonly handle: WorkflowHandle;
  /** When the attempt at the long stage began and ended. */
  begun: number;
  ended: number;
  /** Ends the quick stage of a race. */
  release(): void;
  readonly released: Promise<void>;
}

/** What ends a call early: the pipeline, and how it comes about once the call is under way; `happen` resolves with its time. */
interface Cause {
  define(name: string, busy: Busy, options: Options): Pipeline;
  happen(run: Run): Promise<number>;
}

const input = z.object({});
const alone = (name: string, busy: Busy, options: Options) =>
  pipeline(name, { input }, (trace) => ({ done: busy.work(trace as never, options) })) as Pipeline;

const CAUSES: Readonly<Record<string, Cause>> = {
  'the client’s cancellation': {
    define: alone,
    async happen(run) {
      const now = Date.now();
      await run.handle.cancel();
      return now;
    },
  },
  'the client’s termination': {
    define: alone,
    async happen(run) {
      const now = Date.now();
      await run.handle.terminate('the test has seen enough');
      return now;
    },
  },
  'the deadline': {
    define: (name, busy, options) =>
      pipeline(name, { input, deadline: DEADLINE.text }, (trace) => ({
        done: busy.work(trace as never, options),
      })) as Pipeline,
    async happen(run) {
      const { startTime } = await run.handle.describe();
      return startTime.getTime() + DEADLINE.ms;
    },
  },
  'a lost race': {
    define: (name, busy, options) =>
      pipeline(name, { input }, (trace) => ({
        first: trace.race('race', {
          slow: () => busy.work(trace as never, options),
          quick: () => trace.stage('quick', quick, {}, options),
        }).winner,
      })) as Pipeline,
    async happen(run) {
      const now = Date.now();
      run.release();
      return now;
    },
  },
  'a hedge’s other call': {
    define: (name, busy, options) =>
      pipeline(name, { input }, (trace) => ({ done: busy.hedged(trace as never, options) })) as Pipeline,
    async happen(run) {
      await until('the hedge has ended', () => run.ended > 0);
      return run.ended;
    },
  },
  'the timeout of the attempt': {
    define: (name, busy, options) => alone(name, busy, { ...options, timeout: { attempt: ATTEMPT.text } }),
    async happen(run) {
      return run.begun + ATTEMPT.ms;
    },
  },
};

const cases = (['queued', 'inline'] as const).flatMap((execution) =>
  Object.keys(CAUSES).map((cause) => ({ execution, cause })),
);

describe('a call that is ended early', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-cancellation-'));
  const standIn = new StormyLlm();
  const runs = new Map<string, Run>();
  let settings: Settings;
  let client: Client;
  let stages: Stages;
  let worker: TestWorker;

  beforeAll(async () => {
    const models = path.join(folder, 'models.json');
    writeFileSync(models, JSON.stringify(modelsOf(await standIn.listen())));
    settings = testSettings({ MILLRACE_MODELS: models, MILLRACE_PIPELINES: '', MILLRACE_LOG_LEVEL: 'silent' });
    stages = await composeStages(settings, createLogger(settings, 'test'));
    [client, triton] = await Promise.all([connect(), watchedTriton(['countdown', 'overtaking'])]);
    llm = watchedLlm();
    worker = await TestWorker.start({ queue: QUEUE, runner: { run: runStage } });
    // A worker's first call that is cancelled takes longer than those that follow.
    const watch = await triton.watch();
    const first = await start(alone('first', SERVERS.Triton as Busy, { execution: 'queued', retry: { attempts: 1 } }));
    await until('the stage has begun', () => first.begun > 0);
    await sleep(UNDER_WAY_MS);
    await first.handle.cancel();
    await first.handle.result().catch(() => undefined);
    await until('its server has ended it', () => watch.hasEnded(1));
  });
  afterAll(async () => {
    await worker?.stop();
    await stages?.close();
    await triton?.close();
    standIn.close();
    await client?.connection.close();
    rmSync(folder, { recursive: true });
  });

  /** As the worker runs stages, with their times noted. */
  async function runStage(stageInput: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const run = await runOf(attempt.run);
    if (call.kind === 'code') {
      await run.released;
      return { output: {}, endpoint: 'worker', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
    }
    run.begun ||= Date.now();
    try {
      return await stages.runner.run(stageInput, call, { ...attempt, devices: [DEVICE] });
    } finally {
      run.ended = Date.now();
    }
  }

  /** A run begins before the client that has started it knows. */
  async function runOf(id: string): Promise<Run> {
    await until('the run is known', () => runs.has(id));
    return runs.get(id) as Run;
  }

  async function start({ name, plan }: Pipeline): Promise<Run> {
    const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
    const handle = await client.workflow.start(name, {
      taskQueue: QUEUE,
      workflowId: `${name}-${randomUUID()}`,
      args: [{}, { plan, placement: place(plan, poolOf, QUEUE), tenant: 'default' }],
    });
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const run = { handle, begun: 0, ended: 0, release, released };
    runs.set(handle.workflowId, run);
    return run;
  }

  // Each server counts its own calls, so the two are tried side by side; what a case does is wait, most of its time.
  describe.concurrent.each(Object.keys(SERVERS))('at %s', (server) => {
    it.sequential.each(cases)('ends by $cause, $execution', LATE_ONCE, async ({ execution, cause }) => {
      const busy = SERVERS[server] as Busy;
      const { define, happen } = CAUSES[cause] as Cause;
      const calls = cause.startsWith('a hedge') ? busy.hedgedCalls : 1;
      const watch = await busy.server().watch();
      const run = await start(define(`ended-early-${execution}`, busy, { execution, retry: { attempts: 1 } }));
      await until('the stage has begun', () => run.begun > 0);
      await sleep(UNDER_WAY_MS);
      // One that gets no processor begins later.
      await until('the server is at work', async () => !(await watch.hasEnded(calls)) && watch.begun, DEADLINE.ms);
      const happened = await happen(run);
      const end = Date.now() + GIVE_UP_MS;
      let before: number | undefined;
      while (!(await watch.hasEnded(calls)) && Date.now() < end) {
        if (run.ended > 0) before ??= await watch.steps?.();
        await sleep(POLL_MS);
      }
      const ms = Date.now() - happened;
      const steps = before === undefined ? undefined : ((await watch.steps?.()) ?? 0) - before;
      run.release();
      await run.handle.result().catch(() => undefined);
      await until('the call has ended', () => run.ended > 0);
      expect(run.ended - happened, 'the call has ended in time').toBeLessThan(WITHIN_MS);
      // A server that gets no processor takes longer than that for one step.
      if (steps !== undefined && ms >= WITHIN_MS && ms < GIVE_UP_MS && steps <= NOTICED_AFTER_STEPS) return;
      expect(ms, 'the server has stopped').toBeLessThan(WITHIN_MS);
    });
  });
});

/** The pools; of a hedged one the second endpoint is a stand-in that answers at once. */
function modelsOf(standIn: string): JsonObject {
  const pool = (connector: string, kind: string, model: string, ...urls: string[]): JsonObject => ({
    connector,
    kind,
    model,
    endpoints: urls.map((url) => ({ url, device: url === standIn ? 'elsewhere' : DEVICE })),
  });
  const [tritonUrl, llmUrl] = [address('TRITON_URL'), address('LLM_BASE_URL')];
  return {
    countdown: pool('triton', 'infer', 'countdown', tritonUrl),
    overtaking: pool('triton', 'infer', 'overtaking', tritonUrl),
    story: pool('openai', 'chat', 'assistant', llmUrl),
    'hedged-story': pool('openai', 'chat', 'assistant', llmUrl, standIn),
  };
}
