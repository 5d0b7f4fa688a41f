import { randomInt } from 'node:crypto';
import { PRIORITIES, type Priority } from '../../../pipelines/plan/index.js';
import type { Parameters } from '../../../protocols/open-inference/index.js';
import type { CallContext } from '../connector.js';
import type { Requests } from '../tensors/index.js';
import type { Traits } from './client.js';
import type { TritonOptions } from './options.js';

/** Of ids chosen at random; Triton takes 64 bits, and 2^47 are enough that no two sequences meet. */
const MOST_ID = 2 ** 47;

export const sequenceId = (): number => randomInt(1, MOST_ID);

/**
 * Parameters of a call's requests, as far as the model knows them: the stage's priority, the time that is left to its
 * attempt, and for a model with sequence batching a sequence of its own: the first request starts it, the last ends it.
 * (Triton's extensions: https://github.com/triton-inference-server/server, docs/protocol/extension_sequence.md and
 * extension_schedule_policy.md)
 */
export function requestsOf(
  { sequential, priorityLevels }: Pick<Traits, 'sequential' | 'priorityLevels'>,
  { priority, endsAt, traceparent }: Pick<CallContext, 'priority' | 'endsAt' | 'traceparent'>,
  { timeout = 'off' }: TritonOptions,
): Requests {
  const id = sequential ? sequenceId() : undefined;
  let first = true;
  return {
    sequential,
    next(last) {
      const start = first;
      first = false;
      const parameters: Parameters = {
        ...priorityOf(priority, priorityLevels),
        ...(timeout === 'attempt' && endsAt !== undefined && { timeout: { int64_param: microseconds(endsAt) } }),
        ...(id !== undefined && {
          sequence_id: { int64_param: id },
          sequence_start: { bool_param: start },
          sequence_end: { bool_param: last },
        }),
      };
      return {
        ...(Object.keys(parameters).length > 0 && { parameters }),
        ...(traceparent !== undefined && { traceparent }),
      };
    },
  };
}

/** Level 1 is the most urgent. With two levels `default` has the second: only `interactive` goes ahead. */
export function priorityOf(priority: Priority | undefined, levels: number): Parameters {
  if (priority === undefined || levels < 2) return {};
  const share = PRIORITIES.indexOf(priority) / (PRIORITIES.length - 1);
  return { priority: { uint64_param: 1 + Math.ceil(share * (levels - 1)) } };
}

/** What is left until `endsAt`, at least a microsecond: 0 would mean the model's default. */
const microseconds = (endsAt: number): number => Math.max(1, Math.floor((endsAt - performance.now()) * 1_000));
