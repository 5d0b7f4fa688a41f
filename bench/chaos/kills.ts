import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '../../workers/stack/index.js';
import type { Seeded } from './seeded.js';
import { settings } from './settings.js';
import type { ChaosWorker } from './worker.js';

export const VICTIMS = ['worker-a', 'worker-b', 'triton', 'llm', 'redis'] as const;
export type Victim = (typeof VICTIMS)[number];

/** A kill falls when this many runs have been started. */
export interface PlannedKill {
  readonly victim: Victim;
  readonly after: number;
}

/** Every victim once a round, in an order of the seed, spread evenly over the runs. */
export function planKills(runs: number, rounds: number, random: Seeded): PlannedKill[] {
  const victims = Array.from({ length: rounds }, () => random.shuffled(VICTIMS)).flat();
  const share = runs / victims.length;
  return victims.map((victim, i) => ({ victim, after: Math.floor((i + random.next()) * share) }));
}

/** What is killed starts again by itself, or this long after: a service manager's usual pause. */
const WORKER_PAUSE_MS = 1_000;
const LOOK_MS = 50;
/** Triton has its models loaded after some ten seconds; a machine that others use takes several times that. */
const READY_MS = 120_000;

/** Kills what is planned, one after the other, each victim only when it is up. */
export class Killer {
  readonly done: PlannedKill[] = [];
  readonly #plan: readonly PlannedKill[];
  readonly #workers: readonly ChaosWorker[];
  readonly #note: (text: string) => void;
  #starting: Promise<void>[] = [];

  constructor(plan: readonly PlannedKill[], workers: readonly ChaosWorker[], note: (text: string) => void) {
    this.#plan = plan;
    this.#workers = workers;
    this.#note = note;
  }

  /** Carries out the plan; `started` says how many runs have been started. Resolves when all that was killed is up again. */
  async run(started: () => number): Promise<void> {
    for (const kill of this.#plan) {
      while (started() < kill.after) await sleep(LOOK_MS);
      await this.#whenReady(kill.victim);
      await this.#kill(kill.victim);
      this.done.push(kill);
      this.#note(`${started()} runs started: ${kill.victim} killed`);
    }
    await Promise.all(this.#starting);
    for (const victim of VICTIMS) await this.#whenReady(victim);
  }

  /** Kills that were due when `started` runs had been started and have not come yet. */
  behind(started: number): number {
    return this.#plan.slice(this.done.length).filter(({ after }) => after < started).length;
  }

  async #kill(victim: Victim): Promise<void> {
    const worker = this.#workers.find(({ name }) => name === victim);
    if (worker) {
      await worker.kill();
      const starting = sleep(WORKER_PAUSE_MS).then(() => worker.start());
      // Looked at when the plan is through.
      starting.catch(() => undefined);
      this.#starting.push(starting);
      return;
    }
    const pid = status(settings).parts.find(({ name }) => name === victim)?.pid;
    if (pid === undefined) throw new Error(`${victim} does not run`);
    process.kill(pid, 'SIGKILL');
    // Until the supervisor has noticed, its record still says that all is well.
    while (status(settings).parts.find(({ name }) => name === victim)?.pid === pid) await sleep(LOOK_MS);
  }

  async #whenReady(victim: Victim): Promise<void> {
    const until = Date.now() + READY_MS;
    while (!this.#isReady(victim)) {
      if (Date.now() > until) throw new Error(`${victim} did not come back within ${READY_MS} ms`);
      await sleep(LOOK_MS);
    }
  }

  #isReady(victim: Victim): boolean {
    const worker = this.#workers.find(({ name }) => name === victim);
    if (worker) return worker.ready;
    return status(settings).parts.find(({ name }) => name === victim)?.state === 'ready';
  }
}
