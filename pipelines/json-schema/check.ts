import type { FieldError } from '../errors.js';
import { MOST_FIELDS } from '../invalid-fields.js';
import type { Json } from '../json.js';

/** A check was stopped because it took too many steps. */
export class TooCostlyError extends Error {}

/**
 * Maximum steps of one check. A step is one schema applied to one value, one compared item, a few characters read by a pattern, or as many
 * other characters or parts as are read in that time. This many take a fifth of a second, during which the process serves nothing else.
 */
const MOST_STEPS = 400_000;
/** Maximum nesting of schemas at one value and its parts; each level uses some of the stack. */
const MOST_LEVELS = 1_000;
/** Steps of a pattern's program that cost as much as one schema step. */
const PATTERN_STEPS = 2;
/** Characters of a text that are read in the time of a step. */
const CHARACTERS = 64;
/** Keys that are looked up, or fields and items that are gone through, in the time of a step. */
const PARTS = 16;

/** Properties and items of a value that some schema has evaluated: `unevaluatedProperties` applies to the others. */
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

/** One check of a value: its cost, the errors found, and the defaults filled in. */
export class Check {
  readonly #path: (string | number)[] = [];
  #errors: FieldError[] = [];
  #steps = 0;
  #levels = 0;
  #trials = 0;
  /** Some keyword depends on what others have evaluated. */
  readonly seeing: boolean;
  readonly #filled: { readonly owner: Writable; readonly key: string }[] = [];

  constructor(seeing: boolean) {
    this.seeing = seeing;
  }

  get errors(): readonly FieldError[] {
    return this.#errors;
  }

  /** Only the result is needed: the first error is enough. */
  get trying(): boolean {
    return this.#trials > 0;
  }

  /** Throws `TooCostlyError` above the maximum. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) throw new TooCostlyError(`takes more than ${MOST_STEPS} steps to check`);
  }

  spendOnPattern(weight: number, text: string): void {
    this.spend(Math.ceil((weight * text.length) / PATTERN_STEPS));
  }

  /** Spends on a text that is read once; a short one is part of the step of its schema. */
  spendOnText(length: number): void {
    this.spend(Math.floor(length / CHARACTERS));
  }

  /** Spends on keys, fields or items to which no schema is applied; a few are part of the step of theirs. */
  spendOnParts(count: number): void {
    this.spend(Math.floor(count / PARTS));
  }

  enter(): void {
    if (++this.#levels > MOST_LEVELS) throw new TooCostlyError('is nested too deeply to be checked');
  }

  leave(): void {
    this.#levels--;
  }

  /** Reports an error of the current value, or of a part of it. */
  fail(message: string, part?: string | number): false {
    // Errors of a trial within a trial are not reported.
    if (this.#errors.length < MOST_FIELDS && this.#trials < 2) {
      const field = [...this.#path, ...(part === undefined ? [] : [part])].join('.');
      this.#errors.push({ field, message });
      this.spendOnText(field.length);
    }
    return false;
  }

  at(part: string | number, validate: () => boolean): boolean {
    this.#path.push(part);
    const valid = validate();
    this.#path.pop();
    return valid;
  }

  /** Checks an optional condition: its errors, and the defaults filled in if it does not hold, are undone. */
  attempt(validate: () => boolean): { readonly valid: boolean; readonly errors: readonly FieldError[] } {
    const before = this.#errors;
    const filled = this.#filled.length;
    this.#errors = [];
    this.#trials++;
    const valid = validate();
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
