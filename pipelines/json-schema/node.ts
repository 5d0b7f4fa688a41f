import type { Json } from '../json.js';
import { type Check, Seen } from './check.js';

/** Whether a value satisfies a keyword. Errors are reported to the check. */
export type Test = (value: Json, check: Check, seen: Seen | undefined) => boolean;

/** A schema that has been read: its tests, in order of evaluation. */
export interface Node {
  /** Its location: a JSON pointer. */
  readonly at: string;
  readonly tests: Test[];
  /** Schemas applied to the same value. */
  readonly inPlace: Node[];
}

/** Whether a value fits. Stops at the first error unless all are to be reported. */
export function fits(node: Node, value: Json, check: Check, seen: Seen | undefined): boolean {
  check.spend(1 + node.tests.length);
  check.enter();
  let valid = true;
  for (const test of node.tests) {
    if (test(value, check, seen)) continue;
    valid = false;
    if (check.trying) break;
  }
  check.leave();
  return valid;
}

/** The same for a part of a value, which no other schema has evaluated yet. */
export const partFits = (node: Node, value: Json, check: Check): boolean =>
  fits(node, value, check, check.seeing ? new Seen() : undefined);
