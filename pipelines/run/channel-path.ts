import type { RunContext } from './run-context.js';
import type { StageCall } from './stage-call.js';

/** The path by which the channels of a step are named: a run has others than an earlier run with the same id. */
export const channelPath = (path: string, { streamTag }: Pick<RunContext, 'streamTag'>): string =>
  streamTag === undefined ? path : `${path}@${streamTag}`;

/** The path of the step that a channel is named by. No path of a step has an `@`. */
export const stepOf = (channel: string): string => channel.replace(/@.*$/, '');

/** The path by which the channels that a call writes are named. */
export function channelOfCall(call: Pick<StageCall, 'channel' | 'turn' | 'path' | 'stage'>): string {
  const { channel, turn, path, stage } = call;
  return channel?.path ?? turn?.path ?? path ?? stage;
}
