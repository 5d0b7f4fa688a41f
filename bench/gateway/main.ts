/**
 * The time that a layer between a client and its LLM server adds to a chat completion: to its first token and to its
 * end. The same request is sent to the server itself, through the OpenAI door to a pass-through pipeline (as one
 * `inline` stage, and `durable`, as an activity), and through the LiteLLM proxy, in interleaved rounds on one machine.
 * Medians.
 *
 * The server is the embedded one; with `--paced` a stand-in that uses no processor time, so that other load on the
 * machine and the server's own threads are not in the differences. Calls come one at a time with a pause between, as
 * from a person, so that work after an answer does not delay the next one unless it takes longer.
 *
 *   npm run bench:gateway [-- --json] [--rounds N] [--paced] [--pause MS]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { down, up } from '../../deploy/local/stack/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { loadAverages, median, note, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { complete, type Taken } from './complete.js';
import { startLiteLlm } from './lite-llm.js';
import { settingsWith } from './settings.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '12' },
    paced: { type: 'boolean' },
    pause: { type: 'string', default: '150' },
  },
});
const ROUNDS = Number(options.rounds);
const PAUSE_MS = Number(options.pause);
const WARM_UP = 10;
const CALLS_A_ROUND = 5;

const SIDES = ['direct', 'inline', 'durable', 'litellm'] as const;
type Side = (typeof SIDES)[number];

interface Figures extends Taken {
  /** Added to the server's own time. */
  readonly addedTtftMs: number;
  readonly addedTotalMs: number;
}

/** The base URL of a paced server that ends with this process. */
async function startPaced(): Promise<string> {
  const script = fileURLToPath(new URL('./paced-server.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return line.toString().trim();
}

const settings = settingsWith(options.paced ? await startPaced() : '');

async function main() {
  const { llm } = await up({ settings, parts: ['temporal', 'redis', 'llm', 'worker', 'gateway'] });
  const [server = ''] = llm;
  const lite = await startLiteLlm(settings, server, note);
  const door = `${gatewayUrl(settings)}/v1`;
  const calls: Readonly<Record<Side, () => Promise<Taken>>> = {
    direct: () => complete(server, settings.LLM_MODEL),
    inline: () => complete(door, 'inline'),
    durable: () => complete(door, 'durable'),
    litellm: () => complete(lite.url, 'assistant'),
  };
  const taken: Record<Side, Taken[]> = { direct: [], inline: [], durable: [], litellm: [] };
  try {
    const paused = async (side: Side): Promise<Taken> => {
      await sleep(PAUSE_MS);
      return await calls[side]();
    };
    for (const side of SIDES) for (let i = 0; i < WARM_UP; i++) await paused(side);
    for (let i = 0; i < ROUNDS; i++) {
      // Each side is first, second, third and last equally often.
      const order = SIDES.map((_, at) => SIDES[(at + i) % SIDES.length] as Side);
      for (const side of order) for (let n = 0; n < CALLS_A_ROUND; n++) taken[side].push(await paused(side));
    }
  } finally {
    await lite.stop();
  }
  const medianOf = (side: Side): Taken => ({
    ttftMs: round(median(taken[side].map(({ ttftMs }) => ttftMs)), 1),
    totalMs: round(median(taken[side].map(({ totalMs }) => totalMs)), 1),
  });
  const direct = medianOf('direct');
  const above = (side: Side): Figures => {
    const { ttftMs, totalMs } = medianOf(side);
    const added = { addedTtftMs: round(ttftMs - direct.ttftMs, 1), addedTotalMs: round(totalMs - direct.totalMs, 1) };
    return { ttftMs, totalMs, ...added };
  };
  const litellm = above('litellm');
  const millrace = { inline: above('inline'), durable: above('durable') };
  const ofLiteLlm = ({ addedTtftMs }: Figures) => round(addedTtftMs / litellm.addedTtftMs, 2);
  return {
    direct,
    millrace,
    litellm,
    /** Added time to the first token, relative to LiteLLM's. */
    ofLiteLlm: { inline: ofLiteLlm(millrace.inline), durable: ofLiteLlm(millrace.durable) },
    server: options.paced ? ('paced' as const) : ('embedded' as const),
    pauseMs: PAUSE_MS,
    calls: ROUNDS * CALLS_A_ROUND,
    load: loadAverages(),
  };
}

try {
  const result = await main();
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const { direct, millrace, litellm, ofLiteLlm, calls, load } = result;
    const row = (name: string, { ttftMs, totalMs, addedTtftMs = 0, addedTotalMs = 0 }: Taken & Partial<Figures>) =>
      `${name.padEnd(18)} ${[ttftMs, addedTtftMs, totalMs, addedTotalMs].map((ms) => `${ms}`.padStart(10)).join('')}\n`;
    process.stdout.write(
      `${'ms'.padEnd(18)} ${['first', 'added', 'total', 'added'].map((name) => name.padStart(10)).join('')}\n` +
        row('the server alone', direct) +
        row('millrace, inline', millrace.inline) +
        row('millrace, durable', millrace.durable) +
        row('litellm', litellm) +
        `added to the first token, of LiteLLM’s: inline ${ofLiteLlm.inline}, durable ${ofLiteLlm.durable}\n` +
        `medians of ${calls} calls each, one at a time, in interleaved rounds; load average ${load.join(', ')}\n`,
    );
  }
} finally {
  await down(settings);
}
process.exit();
