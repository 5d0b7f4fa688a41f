import type { Json } from '../json.js';
import { type Check, Seen } from './check.js';

/** Whether a value is what a keyword wants. What is wrong with it has been told to the check. */
export type Test = (value: Json, check: Check, seen: Seen | undefined) => boolean;

/** A schema that was read: its tests, in the order in which they are made. */
export interface Node {
  /** Where it stands: a JSON pointer. */
  readonly at: string;
  readonly tests: Test[];
  /** Schemas that look at the same value. */
  readonly inPlace: Node[];
}

/** Whether a value fits. Where nobody asks for all that is wrong, the first is enough. */
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

/** The same for a part of a value, which nothing else has looked at yet. */
export const partFits = (node: Node, value: Json, check: Check): boolean =>
  fits(node, value, check, check.seeing ? new Seen() : undefined);
