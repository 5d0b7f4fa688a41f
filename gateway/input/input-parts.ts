import type { Json, JsonObject } from '../../pipelines/json.js';
import { type InputForm, invalidInput, MOST_PARTS } from './input-form.js';

type Container = Record<string, Json>;

/** An input that arrives in parts, each with its path. */
export class InputParts {
  readonly #form: InputForm;
  readonly #given = new Map<string, Json>();

  constructor(form: InputForm) {
    this.#form = form;
  }

  /** Throws `INVALID_INPUT` for a path that is set already, or an index beyond the items that a form can fill. */
  expectFree(path: string): void {
    if (this.#given.has(path)) throw invalidInput([{ field: path, message: 'is given twice' }]);
    if (this.#form.has(path) && path.split('.').some((key) => /^\d+$/.test(key) && Number(key) >= MOST_PARTS))
      throw invalidInput([{ field: path, message: `exceeds the limit of ${MOST_PARTS} items in a form` }]);
  }

  add(path: string, value: Json): void {
    this.expectFree(path);
    this.#given.set(path, value);
  }

  /** The path of the next item of a list that is sent item by item. */
  nextOf(list: string): string {
    for (let i = 0; ; i++) if (!this.#given.has(`${list}.${i}`)) return `${list}.${i}`;
  }

  /** The input. An unknown path becomes a field of that name, for validation to reject. */
  whole(): JsonObject {
    const whole: Container = {};
    // Outer paths first: a list may be sent as JSON and one of its items as a file.
    for (const [path, value] of [...this.#given].sort(([a], [b]) => depth(a) - depth(b))) {
      if (this.#form.has(path)) this.#place(whole, path, value);
      else set(whole, path, value);
    }
    return whole;
  }

  #place(whole: Container, path: string, value: Json): void {
    const keys = path.split('.');
    const last = keys.pop() as string;
    let here = whole;
    for (const [i, key] of keys.entries()) {
      const above = keys.slice(0, i + 1).join('.');
      if (!Object.hasOwn(here, key)) set(here, key, this.#form.isList(above) ? [] : {});
      const inner = here[key];
      if (typeof inner !== 'object' || inner === null)
        throw invalidInput([{ field: path, message: `${above} is already given as a whole` }]);
      here = inner as Container;
    }
    if (Object.hasOwn(here, last)) throw invalidInput([{ field: path, message: 'is given twice' }]);
    set(here, last, value);
  }
}

const depth = (path: string): number => path.split('.').length;

/** Sets an own property: `__proto__` does not change the prototype. */
const set = (container: object, key: string, value: Json): void => {
  Object.defineProperty(container, key, { value, enumerable: true, writable: true, configurable: true });
};
