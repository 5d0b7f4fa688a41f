import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pMap from 'p-map';
import { createConnectors } from '../../activities/connectors/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { Plan } from '../../pipelines/plan/index.js';
import type { Placement } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import type { Outcome } from './outcome.js';
import { approval, order, payment } from './pipelines.js';
import { runToEnd } from './requested-runs.js';
import { carryOut, completedStages } from './runs.js';
import type { Scene } from './scene.js';
import { settings } from './settings.js';
import { sixStages } from './six-stages.js';
import { openSpeech } from './speech.js';
import { judge, type Start, type Verdict } from './verdict.js';

/** Enough to have runs in every stage at each incident; more would only wait for two cores. */
const IN_FLIGHT = 12;
const POLL_MS = 50;
const TENANT = 'chaos';

/** What runs of six stages need. */
interface Spoken {
  readonly placement: Placement;
  readonly speechOf: (run: number) => Promise<Artifact>;
}

interface Begun {
  readonly plan: Plan;
  id: string | undefined;
  outcome?: Outcome;
}

export interface LoadOptions {
  readonly scene: Scene;
  readonly runs: number;
  readonly seed: number;
  readonly withModels: boolean;
  /** Whether some runs get two simultaneous decisions. */
  readonly withDecisions: boolean;
  readonly note: (text: string) => void;
}

/** The runs: payments with waiting clients, orders with returning clients, six stages of models, and decisions. */
export class Load {
  readonly runs: Begun[] = [];
  readonly #options: LoadOptions;
  readonly #client: Client;
  readonly #spoken: Spoken | undefined;
  /** An incident waits for a payment to be handed out: runs start even if further incidents are due. */
  #needed = false;

  private constructor(options: LoadOptions, client: Client, spoken?: Spoken) {
    this.#options = options;
    this.#client = client;
    this.#spoken = spoken;
  }

  static async open(options: LoadOptions): Promise<Load> {
    const client = new Client({ connection: await Connection.connect({ address: options.scene.temporal }) });
    if (!options.withModels) return new Load(options, client);
    const poolOf = poolDescriptions(await loadModels(settings), createConnectors());
    const placement = place(sixStages.plan, poolOf, settings.MILLRACE_TASK_QUEUE);
    return new Load(options, client, { placement, speechOf: await openSpeech(TENANT) });
  }

  /** Carries out all runs. `hold` returns whether no more may start for now. */
  async carryOut(hold: () => boolean): Promise<void> {
    const { runs, note } = this.#options;
    let ended = 0;
    const carryOut = async () => {
      while (hold() && !this.#needed) await sleep(POLL_MS);
      const number = this.runs.length;
      const outcome = await this.#begin(number);
      const begun = this.runs[number];
      if (begun) begun.outcome = outcome;
      if (outcome.kind !== 'succeeded') note(`run ${number}: ${JSON.stringify(outcome)}`);
      ended += 1;
      if (ended % 20 === 0) note(`${ended} of ${runs} runs have ended`);
    };
    await pMap(Array.from({ length: runs }), carryOut, { concurrency: IN_FLIGHT });
  }

  /**
   * Resolves while a payment has been handed out: its first side effect was requested, and its client has no answer.
   */
  async handedOut(): Promise<void> {
    const { effects } = this.#options.scene.receiver;
    const isOut = ({ plan, outcome }: Begun, number: number) =>
      plan === payment.plan && outcome === undefined && effects.some(({ run }) => run === number);
    this.#needed = true;
    while (!this.runs.some(isOut) && this.runs.length < this.#options.runs) await sleep(POLL_MS);
    this.#needed = false;
  }

  /** Outcome of each run's stages. */
  async judged(starts: readonly Start[]): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    for (const [number, { plan, id, outcome }] of this.runs.entries()) {
      const verdict = judge({
        stages: plan.stages.map((stage) => ({ id: stage.id, attempts: attemptsOf(stage) })),
        starts: starts.filter(({ run }) => run === number),
        completed: id === undefined ? new Map() : await completedStages(this.#client, id),
        reportedAt: outcome?.kind === 'succeeded' ? outcome.at : undefined,
      });
      const { note } = this.#options;
      for (const stage of verdict.repeated) note(`run ${number}, ${id}: "${stage}" started again after its end`);
      for (const stage of verdict.overPolicy) note(`run ${number}, ${id}: "${stage}" called more often than allowed`);
      for (const stage of verdict.twice) note(`run ${number}, ${id}: the side effect of "${stage}" happened twice`);
      verdicts.push(verdict);
    }
    return verdicts;
  }

  async close(): Promise<void> {
    await this.#client.connection.close();
  }

  async #begin(number: number): Promise<Outcome> {
    const { scene, seed } = this.#options;
    const receiver = scene.receiver.url;
    const key = `chaos-${seed}-${settings.MILLRACE_TASK_QUEUE}-${number}`;
    const more = this.#options.withDecisions ? [approval] : [];
    const pipelines = this.#spoken ? [payment, sixStages, order, ...more] : [payment, order, ...more];
    const { plan } = pipelines[number % pipelines.length] ?? payment;
    const begun: Begun = { plan, id: plan === sixStages.plan ? key : undefined };
    this.runs[number] = begun;
    if (plan === sixStages.plan && this.#spoken) {
      const { placement, speechOf } = this.#spoken;
      const { MILLRACE_TASK_QUEUE: queue } = settings;
      const speech = await speechOf(number);
      const run = { number, workflowId: key, speech, receiver, queue, placement, tenant: TENANT };
      return await carryOut(this.#client, run);
    }
    const named = (id: string) => {
      begun.id = id;
    };
    const client = plan === payment.plan ? 'waits' : plan === approval.plan ? 'decides' : 'comes back';
    return await runToEnd({ number, base: scene.base, pipeline: plan.name, client, receiver, key, named });
  }
}

const attemptsOf = (step: Plan['stages'][number]): number => ('policy' in step ? step.policy.retry.attempts : 1);
