import { hasEffects } from '../../pipelines/plan/effects.js';
import { allSteps, isStage, type Plan } from '../../pipelines/plan/index.js';
import type { Order } from '../../runs/order.js';
import type { Caller } from '../access/caller.js';
import { invalidParam } from './error-body.js';
import type { Model } from './models.js';
import { furtherKey } from './several-runs.js';

/** Most choices of a completion. Each is a run. */
export const MOST_CHOICES = 8;

interface Asked {
  readonly n: number;
  readonly caller: Caller;
  /** The answer is wanted as audio. */
  readonly isSpoken: boolean;
}

/** Checks that a model can give several answers to one request. Throws `INVALID_INPUT`. */
export function expectChoices({ pipeline }: Model, { n, caller, isSpoken }: Asked): void {
  if (n === 1) return;
  if (isSpoken) throw invalidParam('n', 'must be 1 for an answer as audio');
  const why = whyOneAnswer(pipeline.plan);
  if (why !== undefined) throw invalidParam('n', `must be 1 for "${pipeline.name}": ${why}`);
  const { runs } = caller;
  if (runs && runs.most < n) throw invalidParam('n', `is more than the ${runs.most} runs that may go on at once`);
}

/** Why several runs of a pipeline with the same input are not several answers to choose from. */
function whyOneAnswer(plan: Plan): string | undefined {
  if (hasEffects(plan)) return 'its effects would be repeated for each choice';
  for (const step of allSteps(plan)) {
    if (isStage(step)) {
      if (step.kind === 'agent') return 'it has an agent, which would work once for each choice';
      if (step.kind === 'approve') return 'it asks people, who would be asked for each choice';
      if (step.kind === 'chat' && step.cache) return 'its answers are cached, so that all choices would be the same';
    } else if (step.kind === 'pipeline' && step.run === 'child') {
      const inner = whyOneAnswer(step.plan);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** The order of each choice. With a seed each has its own, so that they differ and can be repeated. */
export const choiceOrders = (order: Order, n: number): Order[] =>
  Array.from({ length: n }, (_, i) => (i === 0 ? order : furtherOrder(order, i)));

function furtherOrder({ idempotencyKey, input, ...order }: Order, i: number): Order {
  const { seed } = input;
  return {
    ...order,
    idempotencyKey: furtherKey(idempotencyKey, i),
    // Equal orders would all be taken for retries of the latest.
    retry: undefined,
    input: typeof seed === 'number' ? { ...input, seed: seedAt(seed, i) } : input,
  };
}

const seedAt = (seed: number, i: number): number => (Number.isSafeInteger(seed + i) ? seed + i : seed - i);
