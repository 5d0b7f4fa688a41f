import { invalid } from './invalid.js';
import type { PolicyOptions } from './policy.js';

interface Given extends Pick<PolicyOptions, 'retry' | 'timeout' | 'execution' | 'patience'> {
  readonly cache?: unknown;
}

type Rule = readonly [option: string, given: (options: Given) => boolean, why: string];

const RULES: readonly Rule[] = [
  ['execution', ({ execution }) => execution === 'inline', 'cannot be "inline": another worker serves it'],
  [
    'cache',
    ({ cache }) => cache !== undefined,
    'does not apply: the call may have effects elsewhere, which a hit would skip',
  ],
  [
    'retry.on',
    ({ retry }) => retry?.on !== undefined,
    'does not apply: the other worker says with non-retryable failures what is not retried',
  ],
  [
    'retry.backoff.jitter',
    ({ retry }) => (retry?.backoff?.jitter ?? 0) !== 0,
    'does not apply: Temporal itself waits between the attempts, and adds no random share',
  ],
];

const OF_WORKFLOWS: Rule = [
  'patience',
  ({ patience }) => patience !== undefined,
  'does not apply to a workflow: Temporal does not report its wait for a worker, which timeout.attempt limits',
];

/** Refuses the policy options that do not apply to a stage that another worker of Temporal serves. */
export function checkForeign(id: string, kind: string, options: Given): void {
  const rules = kind === 'workflow' ? [...RULES, OF_WORKFLOWS] : RULES;
  const [option, , why] = rules.find(([, given]) => given(options)) ?? [];
  if (why !== undefined) throw invalid(`${id}.${option}`, why);
}
