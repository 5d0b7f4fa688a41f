/**
 * Tool calling with real weights: 40 questions over three tools through an agent on Temporal. A small model trained for
 * tool calls (Qwen2.5-Coder-0.5B-Instruct, 4 bits) answers them on the embedded LLM server. Prints the calls of each
 * question, and the shares of the right tool and of valid arguments in the first call.
 *
 *   npm run bench:agent [-- --json] [-- --many] [-- --questions 12]
 *
 * `--questions`: so many of the 40, evenly spread. A model call takes seconds on an idle machine with two processors, and minutes on one that
 * others use too; progress is printed as questions end.
 * `--many`: among 300 tools, of which the model sees the four whose descriptions are nearest to the question.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import pMap from 'p-map';
import { createConnectors } from '../../activities/connectors/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import type { RunResult } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { note } from '../figures.js';
import { manyTools, threeTools } from './pipeline.js';
import { PROMPTS, type Prompt } from './prompts.js';
import { settingsWith } from './settings.js';
import { toolCallingWeights } from './weights.js';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean' }, many: { type: 'boolean' }, questions: { type: 'string' } },
});
/** Requests that the embedded server decodes concurrently. */
const IN_FLIGHT = 4;

const wanted = Number(options.questions ?? PROMPTS.length);
if (!Number.isInteger(wanted) || wanted < 1 || wanted > PROMPTS.length)
  throw new Error(`--questions must be 1 to ${PROMPTS.length}, not "${options.questions}"`);
const chosen = PROMPTS.filter(
  (_, i) => Math.floor((i * wanted) / PROMPTS.length) !== Math.floor(((i - 1) * wanted) / PROMPTS.length),
);

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

async function main(): Promise<void> {
  const settings = settingsWith(await toolCallingWeights(settingsWith(), note));
  // A stack left by an interrupted run is not reused.
  await down(settings);
  note('starting Temporal, Redis, the LLM server and a worker');
  try {
    const { temporal } = await up({
      settings,
      parts: ['temporal', 'redis', 'llm', ...(options.many ? (['triton'] as const) : []), 'worker'],
    });
    const client = new Client({ connection: await Connection.connect({ address: temporal }) });
    const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
    const { name, plan } = options.many ? manyTools : threeTools;
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
    report(await pMap(chosen, ask, { concurrency: IN_FLIGHT }));
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

function report(measured: readonly Measured[]): void {
  const share = (holds: (one: Measured) => boolean) => measured.filter(holds).length / measured.length;
  const ms = measured.map((one) => one.ms).toSorted((a, b) => a - b);
  const figures = {
    prompts: measured.length,
    failed: measured.filter(({ failed }) => failed !== undefined).length,
    rightTool: share(rightTool),
    validArguments: share(validArguments),
    rightArguments: share(rightArguments),
    medianMs: ms[Math.floor(ms.length / 2)],
    load: loadavg().map((value) => Math.round(value * 100) / 100),
  };
  if (options.json) {
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

await main();
