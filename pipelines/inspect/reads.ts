import { isJsonObject } from '../json.js';
import { type Binding, cacheKeyOf, isStage, type Step } from '../plan/index.js';

/** A field that a binding reads: `field` is its path below the source, empty for the whole value. */
export interface FieldRead {
  readonly source: string;
  readonly field: string;
}

const isStep = (value: Step | Binding): value is Step => isJsonObject(value) && 'id' in value && 'kind' in value;

/** Fields read by a step itself, without its inner graphs, or by a binding; without duplicates, in order. */
export function readFieldsOf(of: Step | Binding): readonly FieldRead[] {
  const found = new Map<string, FieldRead>();
  const add = (path: string) => {
    const [source = '', ...fields] = path.split('.');
    found.set(path, { source, field: fields.join('.') });
  };
  for (const binding of isStep(of) ? bindingsOf(of) : [of]) visit(binding, add);
  return [...found.values()];
}

function visit(binding: Binding, add: (path: string) => void): void {
  if (Array.isArray(binding)) for (const item of binding) visit(item as Binding, add);
  if (!isJsonObject(binding)) return;
  if (typeof binding.$ref === 'string') add(binding.$ref);
  else if (!('$const' in binding)) for (const value of Object.values(binding)) visit(value, add);
}

function bindingsOf(step: Step): readonly Binding[] {
  if (isStage(step)) return [step.input, cacheKeyOf(step)];
  switch (step.kind) {
    case 'when':
      return [step.condition];
    case 'each':
      return [step.over];
    case 'repeat':
      return [step.start, step.until];
    case 'pipeline':
      return [step.input];
    default:
      return [];
  }
}
