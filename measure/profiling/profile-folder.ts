import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { type Profile, type ProfileFile, type ReadProfile, readProfile } from '../../placement/profiles/index.js';

type Key = Pick<Profile, 'model' | 'variant' | 'deviceKind'>;

/** A folder of profiles as `millrace profile` writes it and `millrace place` reads it. */
export interface ProfileFolder {
  /** The profile of a model for all its stages; undefined where there is none. */
  find(key: Key): ReadProfile | undefined;
  /** Writes a profile in place of the one that is of the same, and gives the file's path. */
  write(profile: ProfileFile): string;
}

/**
 * The profiles of a folder, which need not be there yet. Throws `INVALID_PROFILE` for a file that is none: what is measured
 * must not lie beside what cannot be read.
 */
export function profilesIn(folder: string): ProfileFolder {
  const read = names(folder).map((name) => readProfile(readFileSync(path.join(folder, name), 'utf8'), name));
  const find = ({ model, variant, deviceKind }: Key) =>
    read.find(
      ({ value }) =>
        value.model === model &&
        value.variant === variant &&
        value.deviceKind === deviceKind &&
        value.stage === undefined,
    );
  return {
    find,
    write(profile) {
      const key = { ...profile, variant: profile.variant ?? 'default' };
      const file = path.join(folder, find(key)?.file ?? nameOf(key));
      try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, `${JSON.stringify(profile, undefined, 2)}\n`);
      } catch (error) {
        throw new MillraceError('INVALID_PROFILE', `cannot write ${file}: ${messageOf(error)}`);
      }
      return file;
    },
  };
}

/** `whisper.fp16.a100.json`; the variant only where it has a name. */
const nameOf = ({ model, variant, deviceKind }: Key): string =>
  `${[model, ...(variant === 'default' ? [] : [variant]), deviceKind].map((part) => part.replace(/[^\w-]+/g, '_')).join('.')}.json`;

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort();
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return [];
    throw new MillraceError('INVALID_PROFILE', `cannot read the folder ${folder}: ${messageOf(error)}`);
  }
}
