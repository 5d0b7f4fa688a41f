/**
 * Turns of an agent with three tools that have side effects, seen through every door by the door's own client, while a worker or a
 * gateway is killed. Two gateways stand behind a balancer, and each worker has another beside it.
 *
 *   npm run chaos:doors -- [--points 20] [--victims worker,gateway] [--doors chat,mcp] [--seed 1] [--json]
 *
 * `points` kills of each victim, at as many moments of the turn, spread over its steps: each call of the model, each tool. At each,
 * all doors are asked at the same time, and one of them in turn gives the moment. No side effect may happen twice (again after its result was recorded, or
 * under another idempotency key), no completed call of the model or a tool may be repeated, and every client gets the answer:
 * by itself, with the retries that its library makes, or by the id of the run that it was told. Exit status 1 otherwise.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { countOf, namesOf, printReport, runToExit } from '../chaos/kill-bench.js';
import { Seeded } from '../chaos/seeded.js';
import { judge, type Verdict } from '../chaos/verdict.js';
import { note, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { type Asked, ask, type How } from './ask.js';
import { DOORS } from './doors.js';
import { Scene } from './scene.js';
import { lengthOf, STEPS } from './turn.js';

const { values: options } = parseOptions({
  options: {
    points: { type: 'string', default: '20' },
    victims: { type: 'string', default: 'worker,gateway' },
    doors: { type: 'string', default: Object.keys(DOORS).join(';') },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean' },
  },
});
const POINTS = countOf('points', options.points);
const SEED = Number(options.seed);
const KNOWN = ['worker', 'gateway'] as const;
type Victim = (typeof KNOWN)[number];
const VICTIMS = namesOf('victims', options.victims, KNOWN);
const NAMES = namesOf('doors', options.doors, Object.keys(DOORS), ';');

/** The doors are asked within this time, in milliseconds, so that they are not all in the same step. */
const SPREAD_MS = 600;
const POLL_MS = 10;
/** Attempts are not limited here: what counts is that none is made after the end. */
const CHAIN = STEPS.map((id) => ({ id, attempts: Number.POSITIVE_INFINITY }));
const FAULTS: readonly How[] = ['lost', 'wrong', 'hung'];

interface Turn {
  readonly door: string;
  readonly asked: Asked;
  readonly verdict: Verdict;
}

let numbers = 0;

/** One kill, and a turn through each door. */
async function turnsAround(scene: Scene, victim: Victim, point: number, random: Seeded): Promise<readonly Turn[]> {
  await scene.whole();
  const timing = point % NAMES.length;
  const begun = NAMES.map((door, i) => ({
    door,
    number: ++numbers,
    afterMs: i === timing ? 0 : random.between(0, SPREAD_MS),
  }));
  // Each step in turn, at a moment of it.
  const step = STEPS[point % STEPS.length] ?? STEPS[0];
  const intoMs = random.between(0, lengthOf(step));
  const number = begun[timing]?.number ?? 0;
  let isOver = false;
  const struck = (async () => {
    while (!scene.startsOf(number).some(({ stage }) => stage === step)) {
      if (isOver) return 'nobody';
      await sleep(POLL_MS);
    }
    await sleep(intoMs);
    const name = victim === 'worker' ? scene.workerOf(number) : random.below(2) === 0 ? 'gateway-a' : 'gateway-b';
    await scene.kill(name);
    return name;
  })();
  const ends = await Promise.all(
    begun.map(async ({ door, number: own, afterMs }) => {
      await sleep(afterMs);
      const asked = await ask(scene.base, DOORS[door] as (typeof DOORS)[string], own);
      return { door, own, asked };
    }),
  );
  isOver = true;
  note(`${victim} ${point}: ${await struck} killed ${Math.round(intoMs)} ms into ${step} of "${NAMES[timing]}"`);
  return ends.map(({ door, own, asked: said }) => {
    const starts = scene.startsOf(own);
    // Whoever is told that nothing has begun must be told the truth.
    const asked: Asked = said.how === 'nothing' && starts.length > 0 ? { ...said, how: 'lost' } : said;
    const reportedAt = asked.how === 'answered' ? asked.endedAt : undefined;
    const verdict = judge({ stages: CHAIN, starts, completed: new Map(), reportedAt });
    const isBad = FAULTS.includes(asked.how) || verdict.repeated.length > 0 || verdict.twice.length > 0;
    if (isBad || asked.detail !== undefined)
      note(`  ${door}: ${asked.how}, ${asked.detail ?? ''} ${isBad ? JSON.stringify(verdict) : ''}`);
    return { door, asked, verdict };
  });
}

async function main(scene: Scene): Promise<number> {
  const turns: Turn[] = [];
  for (const victim of VICTIMS) {
    const random = new Seeded(SEED, victim);
    for (let point = 0; point < POINTS; point++) turns.push(...(await turnsAround(scene, victim, point, random)));
  }
  const sum = (of: (turn: Turn) => number) => turns.reduce((all, turn) => all + of(turn), 0);
  const report = {
    kills: POINTS * VICTIMS.length,
    turns: turns.length,
    doors: Object.fromEntries(NAMES.map((name) => [name, countsOf(turns.filter(({ door }) => door === name))])),
    lost: sum(({ asked }) => Number(FAULTS.includes(asked.how))),
    sideEffectsTwice: sum(({ verdict }) => verdict.twice.length),
    repeatedCalls: sum(({ verdict }) => verdict.repeated.length),
    underWayRepeated: sum(({ verdict }) => verdict.underWay),
    seed: SEED,
    load: round(loadavg()[0] ?? 0, 1),
  };
  printReport(report, options.json);
  return report.lost + report.sideEffectsTwice + report.repeatedCalls > 0 ? 1 : 0;
}

function countsOf(turns: readonly Turn[]): Partial<Record<How, number>> {
  const counts: Partial<Record<How, number>> = {};
  for (const { asked } of turns) counts[asked.how] = (counts[asked.how] ?? 0) + 1;
  return counts;
}

// Libraries of clients reject promises that nobody holds when their connection breaks; what the client is told is judged.
process.on('unhandledRejection', (error) =>
  note(`  a client rejects in the background: ${String(error).slice(0, 200)}`),
);
const scene = await Scene.open();
await runToExit(
  () => main(scene),
  () => scene.close(),
);
