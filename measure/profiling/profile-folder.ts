import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { type Profile, type ProfileFile, type ReadProfile, readProfile } from '../../placement/profiles/index.js';

type Key = Pick<Profile, 'model' | 'variant' | 'deviceKind'>;

/** A folder of profiles, written by `millrace profile` and read by `millrace place`. */
export interface ProfileFolder {
  /** The profile of a model for all its stages; undefined if there is none. */
  find(key: Key): ReadProfile | undefined;
  /** Writes a profile, replacing the one with the same key, and returns the file's path. */
  write(profile: ProfileFile): string;
}

/**
 * The profiles of a folder, which need not exist. Throws `INVALID_PROFILE` for a file that cannot be read, because new
 * profiles must not be written next to it.
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

/** `whisper.fp16.a100.json`; the variant only if it is named. */
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
