import { setTimeout as sleep } from 'node:timers/promises';
import type { Seeded } from './seeded.js';

/** A fault of a part of the stack while runs continue. */
export interface Incident {
  /** Whether it may start now: damage of an earlier incident may have to be repaired first. */
  readonly mayHappen: () => boolean;
  /** Resolves when the next incident may start; recovery may still be in progress. */
  readonly happen: () => Promise<void>;
}

/** An incident is due when this many runs have been started. */
export interface PlannedIncident {
  readonly name: string;
  readonly after: number;
}

/** Every incident once per round, in an order given by the seed, spread evenly over the runs. */
export function planIncidents(
  names: readonly string[],
  runs: number,
  rounds: number,
  random: Seeded,
): PlannedIncident[] {
  const planned = Array.from({ length: rounds }, () => random.shuffled(names)).flat();
  const share = runs / planned.length;
  return planned.map((name, i) => ({ name, after: Math.floor((i + random.next()) * share) }));
}

const POLL_MS = 50;
/** Triton loads its models within some ten seconds; a shared machine takes several times that. */
const READY_MS = 120_000;

/** Carries out planned incidents, one after the other. */
export class Incidents {
  readonly done: PlannedIncident[] = [];
  readonly #plan: readonly PlannedIncident[];
  readonly #incidents: ReadonlyMap<string, Incident>;
  readonly #note: (text: string) => void;

  constructor(
    plan: readonly PlannedIncident[],
    incidents: ReadonlyMap<string, Incident>,
    note: (text: string) => void,
  ) {
    this.#plan = plan;
    this.#incidents = incidents;
    this.#note = note;
  }

  /**
   * Carries out the plan; `started` returns the number of started runs. Resolves when all incidents are over and
   * repaired.
   */
  async run(started: () => number): Promise<void> {
    for (const planned of this.#plan) {
      while (started() < planned.after) await sleep(POLL_MS);
      const incident = this.#incidents.get(planned.name);
      if (incident === undefined) throw new Error(`there is no incident ${planned.name}`);
      await whole(planned.name, incident);
      this.#note(`${started()} runs started: ${planned.name}`);
      await incident.happen();
      this.done.push(planned);
    }
    for (const [name, incident] of this.#incidents) await whole(name, incident);
  }

  /** Incidents that were due when `started` runs had been started and have not begun yet. */
  behind(started: number): number {
    return this.#plan.slice(this.done.length).filter(({ after }) => after < started).length;
  }
}

async function whole(name: string, { mayHappen }: Incident): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!mayHappen()) {
    if (Date.now() > until) throw new Error(`${name}: a required part did not recover within ${READY_MS} ms`);
    await sleep(POLL_MS);
  }
}
