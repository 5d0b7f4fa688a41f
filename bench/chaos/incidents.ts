import { setTimeout as sleep } from 'node:timers/promises';
import type { Seeded } from './seeded.js';

/** Something that happens to a part of the stack while runs go on. */
export interface Incident {
  /** Whether it may happen now: what an earlier one has broken may have to be whole again. */
  readonly mayHappen: () => boolean;
  /** Resolves when the next one may come; what was broken may still be on its way back. */
  readonly happen: () => Promise<void>;
}

/** An incident falls when this many runs have been started. */
export interface PlannedIncident {
  readonly name: string;
  readonly after: number;
}

/** Every incident once a round, in an order of the seed, spread evenly over the runs. */
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

const LOOK_MS = 50;
/** Triton has its models loaded after some ten seconds; a machine that others use takes several times that. */
const READY_MS = 120_000;

/** Lets happen what is planned, one after the other. */
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

  /** Carries out the plan; `started` says how many runs have been started. Resolves when all of it is over and whole again. */
  async run(started: () => number): Promise<void> {
    for (const planned of this.#plan) {
      while (started() < planned.after) await sleep(LOOK_MS);
      const incident = this.#incidents.get(planned.name);
      if (incident === undefined) throw new Error(`there is no incident ${planned.name}`);
      await whole(planned.name, incident);
      this.#note(`${started()} runs started: ${planned.name}`);
      await incident.happen();
      this.done.push(planned);
    }
    for (const [name, incident] of this.#incidents) await whole(name, incident);
  }

  /** Incidents that were due when `started` runs had been started and have not come yet. */
  behind(started: number): number {
    return this.#plan.slice(this.done.length).filter(({ after }) => after < started).length;
  }
}

async function whole(name: string, { mayHappen }: Incident): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!mayHappen()) {
    if (Date.now() > until) throw new Error(`${name}: what it needs did not come back within ${READY_MS} ms`);
    await sleep(LOOK_MS);
  }
}
