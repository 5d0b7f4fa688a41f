import { ENTRY_KIND, type RefusableCall, type StageCall } from '../pipelines/run/index.js';

/**
 * Heartbeat timeout of activities that stream: somebody listens. They send heartbeats four times as often; one that is taken for
 * dead costs little, since the next attempt goes on behind what is committed.
 */
export const STREAM_HEARTBEAT_MS = 2_000;

/** Names and summaries appear in metrics and in the UI's lists. */
const LONGEST_NAME = 200;
export const short = (text: string): string =>
  text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text;

/** What a call that workers of earlier releases do not know has beside what it asks for: they refuse it, and another worker takes it. */
export function refusableCall(of: Pick<StageCall, 'pipeline' | 'version' | 'tenant'>, stage: string): RefusableCall {
  const { pipeline, version, tenant } = of;
  const retry = { attempts: 1, initialMs: 100, factor: 2, maxMs: 1_000 };
  return { pipeline, version, tenant, stage, kind: ENTRY_KIND, model: '', with: {}, retry };
}
