import { nearest } from '../../placement/source/nearest.js';

export type Path = readonly (string | number)[];

export interface Mistake {
  readonly path: Path;
  readonly message: string;
}

export type Values = Readonly<Record<string, unknown>>;

/** The mistakes of the value at a path. */
export type Check = (value: unknown, at: Path) => readonly Mistake[];

/** A value of which `fits` is true. */
export const value =
  (what: string, fits: (value: unknown) => boolean): Check =>
  (given, at) =>
    fits(given) ? [] : [wrong(at, what, given)];

export const aFunction = value('a function', (given) => typeof given === 'function');

/** An object with known fields, none of which is required. */
export function fields(known: Readonly<Record<string, Check>>): Check {
  return (given, at) => {
    if (!isObject(given)) return [wrong(at, 'an object', given)];
    return Object.entries(given).flatMap(([name, each]) => {
      const path = [...at, name];
      const check = Object.hasOwn(known, name) ? known[name] : undefined;
      if (check === undefined) return [{ path, message: `is no field${nearest(name, Object.keys(known))}` }];
      return each === undefined ? [] : check(each, path);
    });
  };
}

/** An object with at least these members. */
export function members(wanted: Readonly<Record<string, Check>>): Check {
  return (given, at) => {
    if (!isObject(given)) return [wrong(at, `an object with ${Object.keys(wanted).join(', ')}`, given)];
    return Object.entries(wanted).flatMap(([name, check]) => check(given[name], [...at, name]));
  };
}

/** A list whose items have different values of the member `key`. */
export function listOf(item: Check, key?: string): Check {
  return (given, at) => {
    if (!Array.isArray(given)) return [wrong(at, 'a list', given)];
    const keys = given.map((each: unknown) => (isObject(each) && key !== undefined ? each[key] : each));
    return given.flatMap((each: unknown, i) => {
      const first = keys.indexOf(keys[i]);
      const mistakes = item(each, [...at, i]);
      if (mistakes.length > 0 || key === undefined || first === i) return mistakes;
      return [{ path: [...at, i, key], message: `"${String(keys[i])}" is that of item ${first} too` }];
    });
  };
}

/** The path of a file, or another value. */
export function pathOr(what: string, other: Check): Check {
  return (given, at) => {
    if (typeof given !== 'string') return other(given, at);
    return given.trim() === '' ? [{ path: at, message: `is empty: name a file, or give ${what}` }] : [];
  };
}

export const wrong = (path: Path, wanted: string, given: unknown): Mistake => ({
  path,
  message: `must be ${wanted}, not ${described(given)}`,
});

function described(given: unknown): string {
  if (given === null || given === undefined) return String(given);
  if (Array.isArray(given)) return 'a list';
  if (typeof given === 'string') return `the text "${given}"`;
  if (typeof given !== 'object') return `a ${typeof given}`;
  return `an object with ${Object.keys(given).join(', ') || 'no fields'}`;
}

export const isObject = (given: unknown): given is Values =>
  typeof given === 'object' && given !== null && !Array.isArray(given);
