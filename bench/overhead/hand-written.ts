import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';

/** The four empty activities as anybody would write them. */
export interface EmptyActivities {
  first(input: { n: number }): Promise<{ n: number }>;
  second(input: { n: number }): Promise<{ n: number }>;
  third(input: { n: number }): Promise<{ n: number }>;
  fourth(input: { n: number }): Promise<{ n: number }>;
}

/** The same policy as the pipeline's stages have. */
const options = {
  startToCloseTimeout: 60_000,
  scheduleToCloseTimeout: 300_000,
  retry: { maximumAttempts: 6, initialInterval: 200, backoffCoefficient: 2.5, maximumInterval: 10_000 },
};
const queued = proxyActivities<EmptyActivities>({ ...options, heartbeatTimeout: 5_000 });
const inline = proxyLocalActivities<EmptyActivities>(options);

export async function handWrittenQueued(input: { n: number }): Promise<{ n: number }> {
  return queued.fourth(await queued.third(await queued.second(await queued.first(input))));
}

export async function handWrittenInline(input: { n: number }): Promise<{ n: number }> {
  return inline.fourth(await inline.third(await inline.second(await inline.first(input))));
}
