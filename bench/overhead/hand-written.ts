import { ActivityFailure, isCancellation, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';

interface N {
  n: number;
}

/** The empty activities as usually written by hand. */
export type Activities = Record<
  'first' | 'second' | 'third' | 'fourth' | 'one' | 'two' | 'three' | 'four' | 'five' | 'six' | 'spare',
  (input: N) => Promise<N>
>;

/** The same policy as the pipelines' stages. */
const options = {
  startToCloseTimeout: 60_000,
  scheduleToCloseTimeout: 300_000,
  heartbeatTimeout: 5_000,
  retry: { maximumAttempts: 6, initialInterval: 200, backoffCoefficient: 2.5, maximumInterval: 10_000 },
};
const plain = proxyActivities<Activities>(options);
const guarded = proxyActivities<Activities>({
  ...options,
  startToCloseTimeout: 30_000,
  scheduleToCloseTimeout: 120_000,
  retry: { ...options.retry, maximumAttempts: 4 },
});

export async function handWrittenQueued(input: N): Promise<N> {
  return plain.fourth(await plain.third(await plain.second(await plain.first(input))));
}

const local = proxyLocalActivities<Activities>({ startToCloseTimeout: 60_000, retry: { maximumAttempts: 1 } });

/** The minimum cost of a run with one step in its worker: no stages, no journal. */
export async function handWrittenLocal(input: N): Promise<N> {
  return local.first(input);
}

/** With a fallback, as in every stage of the pipeline after its own model has failed for good. */
async function orSpare(name: keyof Activities, input: N): Promise<N> {
  try {
    return await guarded[name](input);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return guarded.spare(input);
  }
}

export async function handWrittenGuarded(input: N): Promise<N> {
  let last = input;
  for (const name of ['one', 'two', 'three', 'four', 'five', 'six'] as const) last = await orSpare(name, last);
  return last;
}
