import type { FieldError } from '../errors.js';
import { MOST_FIELDS } from '../invalid-fields.js';
import type { Json } from '../json.js';

/** A check stopped, for it took more steps than a value is worth. */
export class TooCostlyError extends Error {}

/**
 * Most steps of one check. A step is one schema at one value, one item that is compared, or a few characters that a pattern
 * reads: this many take a fifth of a second, and the process serves nobody meanwhile.
 */
const MOST_STEPS = 400_000;
/** How deep schemas may hold each other at one value and its parts, each level of which takes some of the stack. */
const MOST_LEVELS = 1_000;
/** Steps of a pattern's program that cost as much as one of a schema. */
const PATTERN_STEPS = 2;

/** Which properties and items of a value some schema has looked at: `unevaluatedProperties` is for the others. */
export class Seen {
  readonly keys = new Set<string>();
  items = 0;
  readonly contained = new Set<number>();

  add(other: Seen): void {
    for (const key of other.keys) this.keys.add(key);
    for (const at of other.contained) this.contained.add(at);
    this.items = Math.max(this.items, other.items);
  }
}

type Writable = Record<string, Json>;

/** One check of a value: what it has cost, what is wrong with the value, and the defaults that it was given. */
export class Check {
  readonly #path: (string | number)[] = [];
  #errors: FieldError[] = [];
  #steps = 0;
  #levels = 0;
  #trials = 0;
  /** Some schema wants to know what others have looked at. */
  readonly seeing: boolean;
  readonly #filled: { readonly owner: Writable; readonly key: string }[] = [];

  constructor(seeing: boolean) {
    this.seeing = seeing;
  }

  get errors(): readonly FieldError[] {
    return this.#errors;
  }

  /** Whether only the answer counts: the first mistake is enough. */
  get trying(): boolean {
    return this.#trials > 0;
  }

  /** Throws `TooCostlyError` above the most steps. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) throw new TooCostlyError(`takes more than ${MOST_STEPS} steps to check`);
  }

  spendOnPattern(weight: number, text: string): void {
    this.spend(Math.ceil((weight * text.length) / PATTERN_STEPS));
  }

  enter(): void {
    if (++this.#levels > MOST_LEVELS) throw new TooCostlyError('is nested too deeply to be checked');
  }

  leave(): void {
    this.#levels--;
  }

  /** Says what is wrong with the value that is looked at, or with a part of it. */
  fail(message: string, part?: string | number): false {
    // Of what is tried within a trial nobody is told.
    if (this.#errors.length < MOST_FIELDS && this.#trials < 2) {
      const field = [...this.#path, ...(part === undefined ? [] : [part])].join('.');
      this.#errors.push({ field, message });
    }
    return false;
  }

  at(part: string | number, look: () => boolean): boolean {
    this.#path.push(part);
    const valid = look();
    this.#path.pop();
    return valid;
  }

  /** Looks whether something holds that need not: what was found wrong, and what was filled in where it does not, is undone. */
  attempt(look: () => boolean): { readonly valid: boolean; readonly errors: readonly FieldError[] } {
    const before = this.#errors;
    const filled = this.#filled.length;
    this.#errors = [];
    this.#trials++;
    const valid = look();
    this.#trials--;
    const errors = this.#errors;
    this.#errors = before;
    if (!valid) this.#undo(filled);
    return { valid, errors };
  }

  fill(owner: Writable, key: string, value: Json): void {
    Object.defineProperty(owner, key, {
      value: structuredClone(value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
    this.#filled.push({ owner, key });
  }

  #undo(to: number): void {
    for (const { owner, key } of this.#filled.splice(to)) delete owner[key];
  }
}
