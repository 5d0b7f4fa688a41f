/**
 * The time that a turn of an agent takes beside the model's: one tool call, then an answer, from a server that takes 100 ms for each of
 * the two model calls (`fixed-latency-model.ts`). Millrace through two of its doors, and OpenAI Agents with the plugin of Temporal's SDK for
 * Python, on one Temporal server, turn by turn in changing order. Every model call and the tool are activities on each side.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { down, up } from '../../../deploy/local/stack/index.js';
import { gatewayUrl } from '../../../workers/endpoints.js';
import { loadAverages, median, note, percentile, round } from '../../figures.js';
import { settingsFor } from '../settings.js';
import { openAiAgents } from './openai-agents.js';
import { addedBy, chatDoor, runDoor, type Side } from './sides.js';
import { LATENCY_MS, QUESTION } from './turn.js';

const WARM_UP = 10;
/** Work after an answer does not delay the next turn. */
const PAUSE_MS = 200;

export interface AgainstOptions {
  readonly json: boolean;
  readonly rounds: number;
}

/** Measures the turns, and prints their medians. */
export async function measureTurns({ json, rounds }: AgainstOptions): Promise<void> {
  const model = await startModel();
  const settings = settingsFor(model);
  await down(settings);
  note('starting Temporal, Redis, a worker and a gateway');
  try {
    const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'worker', 'gateway'] });
    const gateway = gatewayUrl(settings);
    const sides = new Map<string, Side>([
      ['millrace, chat door', chatDoor(gateway)],
      ['millrace, run door', runDoor(gateway)],
      ['openai agents', await openAiAgents({ temporal, model })],
    ]);
    const added = new Map<string, number[]>();
    for (let i = -WARM_UP; i < rounds; i++) {
      if (i % 10 === 0) note(`round ${i}, load ${loadAverages()[0]}`);
      for (const [name, side] of inTurn([...sides], i + WARM_UP)) {
        await sleep(PAUSE_MS);
        const ms = addedBy(await side.turn(QUESTION));
        if (i >= 0) added.set(name, [...(added.get(name) ?? []), ms]);
      }
    }
    for (const side of sides.values()) await side.stop();
    report(added, { json, rounds });
  } finally {
    await down(settings);
  }
}

/** Each side is first, second and last equally often. */
const inTurn = <T>(sides: readonly T[], i: number): T[] => sides.map((_, at) => sides[(at + i) % sides.length] as T);

/** The base URL of the model's server, a process of its own that ends with this one. */
async function startModel(): Promise<string> {
  const script = fileURLToPath(new URL('./fixed-latency-model.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return line.toString().trim();
}

function report(
  added: ReadonlyMap<string, readonly number[]>,
  { json, rounds }: { readonly json: boolean; readonly rounds: number },
): void {
  const of = (name: string) => added.get(name) ?? [];
  const theirs = median(of('openai agents'));
  const sides = Object.fromEntries(
    [...added].map(([name, ms]) => [
      name,
      {
        addedMs: round(median(ms), 1),
        p95Ms: round(percentile(ms, 0.95), 1),
        ofOpenAiAgents: round(median(ms) / theirs, 2),
      },
    ]),
  );
  const figures = { sides, rounds, latencyMs: LATENCY_MS, load: loadAverages() };
  if (json) return void process.stdout.write(`${JSON.stringify(figures)}\n`);
  for (const [name, { addedMs, p95Ms, ofOpenAiAgents }] of Object.entries(sides))
    process.stdout.write(`${name.padEnd(20)} ${`${addedMs} ms`.padStart(10)}  p95 ${p95Ms} ms  ${ofOpenAiAgents} ×\n`);
  process.stdout.write(
    `added to ${LATENCY_MS} ms for each of two model calls; medians of ${rounds} turns each, in turn; load ${figures.load.join(', ')}\n`,
  );
}
