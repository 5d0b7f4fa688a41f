import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { nearest } from '../source/nearest.js';
import type { ProfileImport } from './measurements.js';

/** What the measurements of a file are of. */
interface Source {
  /** Models by the names that the profiles get. */
  readonly models: readonly string[];
  /** Devices by the source's own names; empty: it names none. */
  readonly devices: readonly string[];
  /** Its models are LLMs, whose tokens take memory. */
  readonly isLlm: boolean;
}

/** Throws `INVALID_INPUT` for options about a model or device that the source has not: they would change nothing. */
export function checkOptions(source: Source, { kinds, memory, perToken, model }: ProfileImport): void {
  const { models, devices, isLlm } = source;
  // Of a file without measurements that is said.
  if (models.length === 0) return;
  const mistakes: FieldError[] = [];
  const refuse = (field: string, message: string) => mistakes.push({ field, message });
  const refuseModel = (field: string, name: string) => {
    const rename =
      isLlm && model === undefined && models.length === 1 ? `; --model ${name} gives its model that name` : '';
    refuse(field, `the source has no model "${name}"${nearest(name, models)}${rename}`);
  };
  for (const name of Object.keys(kinds)) {
    if (devices.length === 0) refuse('--kind', `${name}: the source names no device: give its kind by --device-kind`);
    else if (!devices.includes(name)) refuse('--kind', `the source has no device "${name}"${nearest(name, devices)}`);
  }
  for (const name of Object.keys(memory)) if (!models.includes(name)) refuseModel('--memory', name);
  for (const name of Object.keys(perToken)) {
    if (!isLlm) refuse('--per-token', `${name}: the source has no LLMs: leave it out`);
    else if (!models.includes(name)) refuseModel('--per-token', name);
    else if (memory[name] === undefined) refuse('--per-token', `${name}: pass --memory ${name}=<amount> too`);
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_INPUT', mistakes);
}
