import { Agent, request } from 'node:http';
import { status } from '../../deploy/local/stack/index.js';
import { median, round } from '../figures.js';
import { cpuSeconds } from '../sse/usage.js';
import { measure } from './contest.js';
import { HttpSide } from './http-side.js';
import { settings } from './settings.js';

const IN_FLIGHT = 16;
const RUNS = 320;
const WARM_UP = 200;
const PIPELINE = 'four-empty-inline';
const PRIORITIES = ['interactive', 'default'] as const;
type PriorityOfRuns = (typeof PRIORITIES)[number];

/** By side and priority, the median of its rounds; CPU time per run, in milliseconds. */
export interface HttpFigures {
  readonly runsPerS: number;
  readonly p50Ms: number;
  readonly cpuMs: {
    readonly gateway: number;
    readonly worker: number;
    readonly temporal: number;
    readonly redis: number;
  };
}

/**
 * Four empty inline stages by POST with `Prefer: wait`, 16 in flight, interactive and default: this build, and
 * optionally another one in the same run.
 *
 * @param against folder of another built checkout
 */
export async function compareHttp(
  rounds: number,
  against: string | undefined,
  note: (text: string) => void,
): Promise<Record<string, Record<PriorityOfRuns, HttpFigures>>> {
  const roots = [['this', '.'], ...(against === undefined ? [] : [['against', against]])] as [string, string][];
  const sides = new Map<string, HttpSide>();
  try {
    for (const [i, [name, root]] of roots.entries()) sides.set(name, await HttpSide.start(name, root, i));
    const taken = new Map<string, HttpFigures[]>();
    for (const [name, side] of sides)
      for (const priority of PRIORITIES) {
        await measure(poster(side.url, priority), WARM_UP, IN_FLIGHT);
        taken.set(`${name} ${priority}`, []);
      }
    for (let i = 0; i < rounds; i++) {
      note(`http, round ${i + 1}`);
      for (const priority of PRIORITIES) {
        const turns = [...sides];
        for (const [name, side] of i % 2 === 0 ? turns : turns.reverse())
          taken.get(`${name} ${priority}`)?.push(await oneRound(side, priority));
      }
    }
    return Object.fromEntries(
      [...sides.keys()].map((name) => {
        const of = (priority: PriorityOfRuns) => medianOf(taken.get(`${name} ${priority}`) ?? []);
        return [name, { interactive: of('interactive'), default: of('default') }];
      }),
    );
  } finally {
    for (const side of sides.values()) await side.stop();
  }
}

async function oneRound(side: HttpSide, priority: PriorityOfRuns): Promise<HttpFigures> {
  const before = { ...side.cpuMs(), ...serversCpuMs() };
  const began = performance.now();
  const latencies = await measure(poster(side.url, priority), RUNS, IN_FLIGHT);
  const runsPerS = (RUNS * 1_000) / (performance.now() - began);
  const after = { ...side.cpuMs(), ...serversCpuMs() };
  const perRun = (part: keyof typeof after) => (after[part] - before[part]) / RUNS;
  const cpuMs = {
    gateway: perRun('gateway'),
    worker: perRun('worker'),
    temporal: perRun('temporal'),
    redis: perRun('redis'),
  };
  return { runsPerS, p50Ms: median(latencies), cpuMs };
}

function serversCpuMs(): { readonly temporal: number; readonly redis: number } {
  const { parts } = status(settings);
  const cpu = (name: string) => {
    const pid = parts.find((part) => part.name === name)?.pid;
    return pid === undefined ? Number.NaN : cpuSeconds(pid) * 1_000;
  };
  return { temporal: cpu('temporal'), redis: cpu('redis') };
}

/** Starts a run and waits for its result. Rejects unless it has succeeded. */
function poster(url: string, priority: PriorityOfRuns): () => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const body = JSON.stringify({ n: 1 });
  const target = `${url}/v1/pipelines/${PIPELINE}/runs?priority=${priority}`;
  const headers = { 'content-type': 'application/json', prefer: 'wait=30', 'content-length': body.length };
  return () =>
    new Promise((resolve, reject) => {
      const sent = request(target, { method: 'POST', agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`${response.statusCode}: ${text}`));
        });
      });
      sent.on('error', reject).end(body);
    });
}

function medianOf(all: readonly HttpFigures[]): HttpFigures {
  const of = (value: (one: HttpFigures) => number) => round(median(all.map(value)), 1);
  return {
    runsPerS: of(({ runsPerS }) => runsPerS),
    p50Ms: of(({ p50Ms }) => p50Ms),
    cpuMs: {
      gateway: of(({ cpuMs }) => cpuMs.gateway),
      worker: of(({ cpuMs }) => cpuMs.worker),
      temporal: of(({ cpuMs }) => cpuMs.temporal),
      redis: of(({ cpuMs }) => cpuMs.redis),
    },
  };
}
