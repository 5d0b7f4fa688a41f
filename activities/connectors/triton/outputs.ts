import { MillraceError } from '../../../pipelines/errors.js';

/** The output of this name. Throws `INVALID_OUTPUT` when the model did not give it. */
export function outputOf<T extends object>(outputs: ReadonlyMap<string, T>, name: string): T {
  const output = outputs.get(name);
  if (output) return output;
  const given = [...outputs.keys()].join(', ') || 'none';
  throw new MillraceError('INVALID_OUTPUT', `the model gave no output ${name} (its outputs: ${given})`);
}
