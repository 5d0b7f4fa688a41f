import { z } from 'zod';
import { StoppingRecord } from './stopping-records.js';

type Schema = z.core.$ZodType;

/** Most schemas within one that are looked at: one that makes others whenever it is asked has no end. */
const MOST_SCHEMAS = 1_000;

const known = new WeakMap<Schema, Schema>();

/**
 * The same schema, whose lists stop at the first item that breaks a rule, such as a longest length, where a parse stops at the first value of a
 * wrong type: Zod itself goes on, since the other items may be judged all the same. Its records stop at the first wrong entries. Lists and records
 * within tuples, intersections and schemas that are made when they are asked for stay as they are: the other side of an intersection may take a key
 * that one side does not.
 */
export function withStoppingLists<S extends Schema>(schema: S): S {
  const made = known.get(schema) ?? new Stopping().of(schema);
  known.set(schema, made);
  return made as S;
}

/** An item that breaks a rule ends its list, as one of a wrong type does. */
const stop = (item: z.core.ParsePayload): void => {
  if (item.issues.length > 0) item.aborted = true;
};

class Stopping {
  readonly #made = new Map<Schema, Schema>();
  readonly #open = new Set<Schema>();

  /** The schema itself if there is no list and no record in it. */
  of(schema: Schema): Schema {
    const made = this.#made.get(schema);
    if (made !== undefined) return made;
    // A schema that contains itself.
    if (this.#open.has(schema)) return z.lazy(() => (this.#made.get(schema) ?? schema) as z.ZodType);
    if (this.#open.size + this.#made.size > MOST_SCHEMAS) return schema;
    this.#open.add(schema);
    const own = this.#copyOf(schema);
    this.#open.delete(schema);
    this.#made.set(schema, own);
    return own;
  }

  #copyOf(schema: Schema): Schema {
    const { def } = (schema as z.core.$ZodTypes)._zod;
    // Keys that are listed are no more than these.
    if (def.type === 'record' && def.keyType._zod.values === undefined)
      return new StoppingRecord({ ...def, valueType: this.of(def.valueType) });
    const changes = this.#changesIn(schema);
    const { def: whole } = schema._zod;
    return changes ? (schema as z.ZodType).clone(z.core.util.mergeDefs(whole, changes) as typeof whole) : schema;
  }

  /** What is other in the definition; undefined if nothing is. */
  #changesIn(schema: Schema): object | undefined {
    const { def } = (schema as z.core.$ZodTypes)._zod;
    switch (def.type) {
      case 'array':
        return { element: (this.of(def.element) as z.ZodType).check(stop) };
      case 'object': {
        const shape = { ...def.shape } as Record<string, Schema>;
        const others = Object.entries(shape).map(([key, field]) => [key, field, this.of(field)] as const);
        const changed = others.filter(([, field, own]) => own !== field);
        if (changed.length === 0) return undefined;
        for (const [key, , own] of changed) shape[key] = own;
        return { shape };
      }
      case 'record': {
        const valueType = this.of(def.valueType);
        return valueType === def.valueType ? undefined : { valueType };
      }
      case 'union': {
        const options = def.options.map((option) => this.of(option));
        return options.some((option, i) => option !== def.options[i]) ? { options } : undefined;
      }
      case 'pipe': {
        const [own, out] = [this.of(def.in), this.of(def.out)];
        return own === def.in && out === def.out ? undefined : { in: own, out };
      }
      case 'optional':
      case 'nullable':
      case 'default':
      case 'prefault':
      case 'nonoptional':
      case 'readonly': {
        const innerType = this.of(def.innerType);
        return innerType === def.innerType ? undefined : { innerType };
      }
      default:
        return undefined;
    }
  }
}
