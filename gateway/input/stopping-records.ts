import { z } from 'zod';

type Payload = z.core.ParsePayload;
type Context = z.core.ParseContextInternal;
type Issue = Payload['issues'][number];

/** Most entries of a part: so many may be wrong before the check stops, of records within records as often as the product. */
const MOST_OF_PART = 32;

const Base: z.core.$constructor<z.ZodRecord> = z.ZodRecord;

/**
 * A record that stops at the first entries that are wrong: Zod itself goes on to the last one, and makes an issue for each. Zod gets its entries in
 * parts, first one, then twice as many each time, and no more behind a part with an issue; what the record as a whole has to fulfil is checked
 * afterwards, as by Zod. Not for records whose keys are listed, of which each has to be there.
 */
export const StoppingRecord: z.core.$constructor<z.ZodRecord> = z.core.$constructor<z.ZodRecord>(
  'StoppingRecord',
  (inst, def) => {
    Base.init(inst, def);
    const part = new z.core.$ZodRecord({ ...def, checks: [] });
    // As Zod does for schemas that contain themselves: each value is checked by one of them once.
    const known = new WeakMap<Context, WeakMap<object, Payload>>();
    inst._zod.parse = (payload, context) => {
      const { value } = payload;
      if (!z.core.util.isPlainObject(value)) return run(part, payload, context);
      const seen = known.get(context) ?? new WeakMap<object, Payload>();
      known.set(context, seen);
      const checked = seen.get(value) ?? inParts(part, value, context);
      seen.set(value, checked);
      payload.value = checked.value;
      payload.issues.push(...checked.issues.map(own));
      return payload;
    };
  },
);

/** Whoever gets an issue puts the path before its own. */
const own = (issue: Issue): Issue => ({ ...issue, path: [...(issue.path ?? [])] }) as Issue;

function inParts(part: z.core.$ZodRecord, entries: Readonly<Record<PropertyKey, unknown>>, context: Context): Payload {
  const keys = Object.keys(entries);
  const value: Record<PropertyKey, unknown> = {};
  let size = 1;
  for (let at = 0; at < keys.length; ) {
    const next = keys.slice(at, at + size);
    const given = Object.fromEntries(next.map((key) => [key, entries[key]]));
    const checked = run(part, { value: given, issues: [] }, context);
    Object.assign(value, checked.value);
    if (checked.issues.length > 0) return { value, issues: checked.issues };
    at += next.length;
    size = Math.min(2 * size, MOST_OF_PART);
  }
  return { value, issues: [] };
}

function run(part: z.core.$ZodRecord, payload: Payload, context: Context): Payload {
  const checked = part._zod.run(payload, context);
  if (checked instanceof Promise) throw new z.core.$ZodAsyncError();
  return checked;
}
