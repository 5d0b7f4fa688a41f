import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type RunResult, type StageRecord, WORKFLOW_TASK_TIMEOUT_MS } from '../../pipelines/run/index.js';
import { type PoolDescription, place } from '../../placement/place.js';

/** Where the embedded stack of the tests put a server. */
export function address(
  name:
    | 'TEMPORAL_ADDRESS'
    | 'REDIS_URL'
    | 'REDIS_INDEX_URL'
    | 'REDIS_CACHE_URL'
    | 'TRITON_URL'
    | 'LLM_BASE_URL'
    | 'GATEWAY_URL',
): string {
  const value = process.env[`TEST_${name}`];
  if (value === undefined)
    throw new Error(`TEST_${name} is not set: integration tests run in the project "integration"`);
  return value;
}

export const connect = async (): Promise<Client> =>
  new Client({ connection: await Connection.connect({ address: address('TEMPORAL_ADDRESS'), connectTimeout: '1m' }) });

const POOLS: Readonly<Record<string, readonly [connector: string, kind: string]>> = {
  whisper: ['triton', 'transcribe'],
  minilm: ['triton', 'embed'],
  tts: ['triton', 'synthesize'],
  moderation: ['triton', 'classify'],
  rerank: ['triton', 'rerank'],
  ocr: ['triton', 'detect'],
  speakers: ['triton', 'detect'],
  assistant: ['openai', 'chat'],
  scripted: ['openai', 'chat'],
};

/** The pools of the embedded stack. */
export function poolOf(model: string): PoolDescription | undefined {
  const [connector, kind] = POOLS[model] ?? [];
  if (connector === undefined || kind === undefined) return undefined;
  return { connector, kind, devices: ['cpu0'], capabilities: new Set(['stream', 'tools', 'structured-output']) };
}

/**
 * Starts a run as the gateway does, on a task queue of the test's own.
 * @param taskTimeoutMs after which the worker of its workflow counts as lost; Temporal's ten seconds by default, which are more than most
 *   machines stand still
 */
export async function start(
  client: Client,
  { name, plan }: Pipeline,
  input: JsonObject,
  queue: string,
  tenant = 'default',
  taskTimeoutMs?: number,
) {
  const placement = place(plan, poolOf, queue);
  return client.workflow.start(name, {
    taskQueue: queue,
    workflowId: `${name}-${randomUUID()}`,
    ...(taskTimeoutMs !== undefined && { workflowTaskTimeout: taskTimeoutMs }),
    args: [input, { plan, placement, tenant }],
  });
}

/** The last arguments of `start` for a run whose lost worker is noticed as soon as with the gateway. */
export const LOST_SOON = ['default', WORKFLOW_TASK_TIMEOUT_MS] as const;

export const resultOf = (handle: WorkflowHandle): Promise<RunResult> => handle.result() as Promise<RunResult>;

/** The failure that ended a run: its code, its stage and its table. */
export async function failureOf(
  handle: WorkflowHandle,
): Promise<{ code: string; message: string; headline: string; stage?: string; stages: readonly StageRecord[] }> {
  try {
    await handle.result();
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) {
      const [details = {}] = error.cause.details ?? [];
      return {
        code: error.cause.type ?? '',
        // What the Temporal UI shows; the details have the whole message.
        headline: error.cause.message,
        message: error.cause.message,
        ...(details as { stage?: string; stages: StageRecord[] }),
      };
    }
    throw error;
  }
  throw new Error('the run succeeded');
}

/** A file of this test for code stages to record their calls in. */
export class CallLog {
  readonly file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'calls.log');

  lines(): string[] {
    try {
      return readFileSync(this.file, 'utf8').trimEnd().split('\n');
    } catch {
      return [];
    }
  }

  count(line: string): number {
    return this.lines().filter((each) => each === line).length;
  }
}

/** The pipelines of test/fixtures/pipelines.mjs, as the worker sees them. */
export const fixtures = (await import('../fixtures/pipelines.mjs' as string)) as Record<
  | 'voiceAssistant'
  | 'threeSteps'
  | 'threeInlineSteps'
  | 'gated'
  | 'flakyRun'
  | 'forgets'
  | 'ask'
  | 'askCached'
  | 'askBriefly'
  | 'slowAssistant'
  | 'fourInlineSteps'
  | 'deadlyInline'
  | 'deadlyQueued'
  | 'lastingStage'
  | 'lastingRun'
  | 'relayQueued'
  | 'relayInline'
  | 'relayEach'
  | 'relayEachQueued'
  | 'dawdling',
  Pipeline
>;

/** The pipelines of test/fixtures/agents.mjs, whose model is a pool `scripted`. */
export const agents = (await import('../fixtures/agents.mjs' as string)) as Record<
  'threeTools' | 'refundDesk' | 'hastyDesk' | 'manyTools' | 'longAgent' | 'codeDesk' | 'printing',
  Pipeline
>;

/** Longer than a process takes to start on a machine that does much else, and below the limit of a test. */
const UNTIL_MS = 90_000;

/** Looks again and again until it holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = UNTIL_MS): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}
