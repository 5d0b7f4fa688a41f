import { loadavg } from 'node:os';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import pMap from 'p-map';
import { createConnectors } from '../../activities/connectors/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import type { RunResult } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { loadAverages, note } from '../figures.js';
import { manyTools, threeTools } from './pipeline.js';
import { PROMPTS, type Prompt } from './prompts.js';
import { IN_FLIGHT, settingsWith } from './settings.js';
import { toolCallingWeights } from './weights.js';

export interface QuestionOptions {
  readonly json: boolean;
  /** Among 300 tools. */
  readonly many: boolean;
  /** How many of the 40, evenly spread. */
  readonly questions: number;
}

interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly end: string;
}
interface Measured {
  readonly prompt: Prompt;
  readonly calls: readonly ToolCall[];
  readonly text: string;
  readonly ms: number;
  /** The run failed: the question counts as answered wrong. */
  readonly failed?: string;
}

/** Asks the questions through an agent, and prints what it called. */
export async function askQuestions({ json, many, questions }: QuestionOptions): Promise<void> {
  const chosen = PROMPTS.filter(
    (_, i) => Math.floor((i * questions) / PROMPTS.length) !== Math.floor(((i - 1) * questions) / PROMPTS.length),
  );
  const settings = settingsWith(await toolCallingWeights(settingsWith(), note));
  // A stack left by an interrupted run is not reused.
  await down(settings);
  note('starting Temporal, Redis, the LLM server and a worker');
  try {
    const { temporal } = await up({
      settings,
      parts: ['temporal', 'redis', 'llm', ...(many ? (['triton'] as const) : []), 'worker'],
    });
    const client = new Client({ connection: await Connection.connect({ address: temporal }) });
    const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
    const { name, plan } = many ? manyTools : threeTools;
    const placement = place(plan, poolOf, settings.MILLRACE_TASK_QUEUE);
    let ended = 0;
    const ask = async (prompt: Prompt, i: number): Promise<Measured> => {
      const startedAt = performance.now();
      const of = (rest: Omit<Measured, 'prompt' | 'ms'>): Measured => {
        const ms = Math.round(performance.now() - startedAt);
        const load = loadavg()[0]?.toFixed(1);
        note(`${++ended} of ${chosen.length} after ${(ms / 1_000).toFixed(1)} s, load ${load}${rest.failed ?? ''}`);
        return { prompt, ms, ...rest };
      };
      try {
        const { output } = (await client.workflow.execute(name, {
          taskQueue: settings.MILLRACE_TASK_QUEUE,
          workflowId: `${name}-${Date.now().toString(36)}-${i}`,
          args: [{ question: prompt.question }, { plan, placement, tenant: 'bench' }],
        })) as RunResult;
        const { toolCalls, text } = output as unknown as { toolCalls: ToolCall[]; text: string };
        return of({ calls: toolCalls, text });
      } catch (error) {
        if (!(error instanceof WorkflowFailedError)) throw error;
        return of({ calls: [], text: '', failed: `: ${error.cause?.message ?? error.message}` });
      }
    };
    report(await pMap(chosen, ask, { concurrency: IN_FLIGHT }), json);
    await client.connection.close();
  } finally {
    await down(settings);
  }
}

/** About the first call: `wrong` arguments never reached the tool. */
const rightTool = ({ prompt, calls: [first] }: Measured): boolean => first?.name === prompt.tool;
const validArguments = ({ calls: [first] }: Measured): boolean => first !== undefined && first.end !== 'wrong';
const rightArguments = ({ prompt, calls: [first] }: Measured): boolean =>
  Object.entries(prompt.arguments).every(([name, value]) => bare(first?.arguments[name]) === bare(value));
const bare = (value: unknown): string => String(value ?? '').replaceAll(' ', '');

function report(measured: readonly Measured[], json: boolean): void {
  const share = (holds: (one: Measured) => boolean) => measured.filter(holds).length / measured.length;
  const ms = measured.map((one) => one.ms).toSorted((a, b) => a - b);
  const figures = {
    prompts: measured.length,
    failed: measured.filter(({ failed }) => failed !== undefined).length,
    rightTool: share(rightTool),
    validArguments: share(validArguments),
    rightArguments: share(rightArguments),
    medianMs: ms[Math.floor(ms.length / 2)],
    load: loadAverages(),
  };
  if (json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return;
  }
  for (const one of measured) {
    const marks = [rightTool(one), validArguments(one), rightArguments(one)].map((yes) => (yes ? '+' : '-')).join('');
    const calls = one.calls
      .map(({ name, arguments: args, end }) => `${name}(${JSON.stringify(args)}) ${end}`)
      .join(', ');
    process.stdout.write(`${marks}  ${one.prompt.question.padEnd(44)} ${calls}  ${JSON.stringify(one.text)}\n`);
  }
  process.stdout.write(`marks: right tool, valid arguments, right arguments\n${JSON.stringify(figures)}\n`);
}
