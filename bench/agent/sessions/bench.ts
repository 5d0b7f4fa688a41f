/**
 * Conversations of 20 turns through an agent with a session, whose model has less context than they need: eight turns plant a fact each,
 * four have none, eight ask for the facts. Half of the conversations are summed up after a run, the others within one. For each fact:
 * whether the model was still sent it (`kept`: the mechanism), whether its answer states it (`recalled`), and whether it does with all
 * facts in one message (`ceiling`: the model).
 */
import { randomUUID } from 'node:crypto';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import pMap from 'p-map';
import { createConnectors } from '../../../activities/connectors/index.js';
import { down, up } from '../../../deploy/local/stack/index.js';
import type { Pipeline } from '../../../pipelines/index.js';
import type { RunResult } from '../../../pipelines/run/index.js';
import { place } from '../../../placement/place.js';
import { loadModels, poolDescriptions } from '../../../workers/models.js';
import { loadAverages, median, note, round } from '../../figures.js';
import { IN_FLIGHT, settingsWith } from '../settings.js';
import { toolCallingWeights } from '../weights.js';
import { type Asked, compactionOf, type Held, recallOf } from './figures.js';
import { states } from './judge.js';
import { type ModelCall, modelCallsOf } from './model-calls.js';
import { CONTEXT, talkShortened, talkSummedUp } from './pipelines.js';
import { atOnce, type Conversation, conversationOf } from './planted.js';

const WAYS = { 'summed up after a run': talkSummedUp, 'shortened within a run': talkShortened } as const;
type Way = keyof typeof WAYS;

export interface SessionOptions {
  readonly json: boolean;
  readonly conversations: number;
  readonly seed: number;
}

interface Said {
  readonly text: string;
  readonly calls: readonly ModelCall[];
}

/** Holds the conversations, and prints what of the facts was left. */
export async function converse({ json, conversations, seed }: SessionOptions): Promise<void> {
  const settings = settingsWith(await toolCallingWeights(settingsWith(), note), {
    pipelines: './sessions/pipelines.js',
    MILLRACE_LLM_CONTEXT: String(CONTEXT),
  });
  // A stack left by an interrupted run is not reused.
  await down(settings);
  note('starting Temporal, Redis, the LLM server and a worker');
  try {
    const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'llm', 'worker'] });
    const client = new Client({ connection: await Connection.connect({ address: temporal }) });
    const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
    const ms: number[] = [];
    const say = async ({ name, plan }: Pick<Pipeline, 'name' | 'plan'>, input: object): Promise<Said> => {
      const began = performance.now();
      const workflowId = `${name}-${randomUUID()}`;
      const placement = place(plan, poolOf, settings.MILLRACE_TASK_QUEUE);
      try {
        const { output } = (await client.workflow.execute(name, {
          ...{ taskQueue: settings.MILLRACE_TASK_QUEUE, workflowId },
          args: [input, { plan, placement, tenant: 'bench' }],
        })) as RunResult;
        return { text: String(output.text), calls: await modelCallsOf(client, workflowId) };
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        note(`${name} failed: ${error.cause?.message ?? error.message}`);
        return { text: '', calls: await modelCallsOf(client, workflowId) };
      } finally {
        ms.push(performance.now() - began);
      }
    };
    const ways = Object.keys(WAYS) as Way[];
    const all = Array.from({ length: conversations }, (_, i) => ({
      way: ways[i % ways.length] as Way,
      conversation: conversationOf(seed + i),
    }));
    const held = await pMap(
      all,
      async ({ way, conversation }, i) => ({ way, ...(await hold(conversation, WAYS[way], say, `${i + 1}`)) }),
      { concurrency: IN_FLIGHT },
    );
    report(held, { json, seed, ms });
    await client.connection.close();
  } finally {
    await down(settings);
  }
}

/** The turns of a conversation one after the other, then each question with all facts in its message. */
async function hold(
  conversation: Conversation,
  use: Pick<Pipeline, 'name' | 'plan'>,
  say: (use: Pick<Pipeline, 'name' | 'plan'>, input: object) => Promise<Said>,
  name: string,
): Promise<Held> {
  const session = randomUUID();
  const calls: ModelCall[] = [];
  const asked: Omit<Asked, 'atOnce'>[] = [];
  for (const [i, turn] of conversation.turns.entries()) {
    const said = await say(use, { says: turn.says, session });
    calls.push(...said.calls);
    note(`conversation ${name}, turn ${i + 1}, load ${loadAverages()[0]}: ${JSON.stringify(said.text)}`);
    if (!turn.asked) continue;
    const request = said.calls.findLast(({ isSummary }) => !isSummary)?.request ?? '';
    asked.push({ asks: turn.says, wordings: turn.asked.wordings, request, answer: said.text });
  }
  const whole: Asked[] = [];
  for (const each of asked) {
    const { text } = await say(use, { says: atOnce(conversation, each.asks) });
    whole.push({ ...each, atOnce: text });
  }
  return { calls, asked: whole };
}

type HeldInWay = Held & { readonly way: Way };

function report(
  held: readonly HeldInWay[],
  { json, seed, ms }: { readonly json: boolean; readonly seed: number; readonly ms: readonly number[] },
): void {
  const of = (some: readonly HeldInWay[]) => ({ ...recallOf(some), compactions: compactionOf(some) });
  const ways = [...new Set(held.map(({ way }) => way))];
  const figures = {
    ...of(held),
    ways: Object.fromEntries(ways.map((way) => [way, of(held.filter((each) => each.way === way))])),
    contextTokens: CONTEXT,
    seed,
    medianTurnMs: round(median(ms)),
    load: loadAverages(),
  };
  if (json) return void process.stdout.write(`${JSON.stringify(figures)}\n`);
  for (const { way, asked } of held)
    for (const { asks, wordings, request, answer, atOnce: whole } of asked) {
      const marks = [request, answer, whole].map((text) => (states(text, wordings) ? '+' : '-')).join('');
      process.stdout.write(`${marks}  ${way}  ${asks}  ${wordings[0]}  ${JSON.stringify(answer)}\n`);
    }
  process.stdout.write(`marks: kept, recalled, recalled with all facts in the message\n${JSON.stringify(figures)}\n`);
}
