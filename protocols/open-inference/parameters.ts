import { wellFormed } from '../../pipelines/well-formed.js';
import type { Parameters, ReceivedParameters } from './messages.js';

/**
 * Encodes request parameters: a boolean, a string, an integer (int64) or a fraction (double). JSON does not distinguish
 * 1 from 1.0, so a whole number is always an integer. A message whose string has no UTF-8 is none.
 */
export function parametersOf(given: Readonly<Record<string, string | number | boolean>> = {}): Parameters {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      if (typeof value === 'boolean') return [name, { bool_param: value }];
      if (typeof value === 'string') return [name, { string_param: wellFormed(value) }];
      return [name, Number.isSafeInteger(value) ? { int64_param: value } : { double_param: value }];
    }),
  );
}

/** A parameter's value in JSON. */
export type ParameterValue = string | number | boolean;

/** Decodes the parameters of a message. Integers beyond 2^53 remain decimal strings. */
export const valuesOf = (received: ReceivedParameters): Record<string, ParameterValue> =>
  Object.fromEntries(
    Object.entries(received).flatMap(([name, choice]) => {
      const [[field, value] = []] = Object.entries(choice);
      if (field === undefined || value === undefined) return [];
      const integer = field.endsWith('int64_param') && Number.isSafeInteger(Number(value));
      return [[name, integer ? Number(value) : value]];
    }),
  );
