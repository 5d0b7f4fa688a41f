import { type Description, type DescriptionInput, descriptionSchema } from '../api.js';

/** Values that a preset's paths and templates take from the pool's `options.values`. */
export type PresetValues = Readonly<Record<string, { readonly about: string; readonly required?: true }>>;

/** A value of a template that is left out where there is none. */
export const optional = (pointer: string) => ({ $from: pointer, optional: true });

/** A serving system as data: nothing that a pool's options could not say themselves. */
export interface PresetInput {
  readonly name: string;
  /** What it is, for the table of servers. */
  readonly title: string;
  /** What its tests run against. `container`: the server of the cloud's containers, behind a fixture of the cloud's front. */
  readonly proof: 'server' | 'container' | 'fixture';
  readonly values?: PresetValues;
  /** For stages of every kind, `http` included. */
  readonly base?: DescriptionInput;
  readonly kinds: Readonly<Record<string, DescriptionInput>>;
}

export interface Preset extends Omit<PresetInput, 'base' | 'kinds'> {
  readonly values: PresetValues;
  readonly base: Description;
  readonly kinds: Readonly<Record<string, Description>>;
}

/**
 * A preset, whose descriptions are read by the schema of pools when they are first looked at: reading all presets takes tens of
 * milliseconds, and a process uses few. Looking throws for one that does not fit.
 */
export function presetOf({ base = {}, kinds, values = {}, ...about }: PresetInput): Preset {
  let read: Pick<Preset, 'base' | 'kinds'> | undefined;
  const described = () => {
    read ??= {
      base: descriptionSchema.parse(base),
      kinds: Object.fromEntries(
        Object.entries(kinds).map(([kind, description]) => [kind, descriptionSchema.parse(description)]),
      ),
    };
    return read;
  };
  return {
    ...about,
    values,
    get base() {
      return described().base;
    },
    get kinds() {
      return described().kinds;
    },
  };
}
