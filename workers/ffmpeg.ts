import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { onPath } from '../runtime/search-path.js';
import type { Settings } from './settings.js';

/** The ffmpeg that a process uses. */
export interface ChosenFfmpeg {
  /** A path, or a name on PATH. */
  readonly program: string;
  /** Why this one, for people. */
  readonly why: string;
}

const NAME = 'ffmpeg';

/** For people: which one, and why. */
export const describeFfmpeg = ({ program, why }: ChosenFfmpeg): string => `${program}: ${why}`;

/** Where the installation of the embedded servers leaves its ffmpeg. */
export const embeddedFfmpeg = (venv: string): string => path.join(venv, 'bin', NAME);

/**
 * The ffmpeg of `MILLRACE_FFMPEG`, else the first one on PATH, else that of the embedded servers' packages. Where there is
 * none, the program is the bare name: what needs it says that it cannot be started.
 */
export function chooseFfmpeg(
  { MILLRACE_FFMPEG, MILLRACE_VENV }: Pick<Settings, 'MILLRACE_FFMPEG' | 'MILLRACE_VENV'>,
  searchPath = process.env.PATH,
): ChosenFfmpeg {
  if (MILLRACE_FFMPEG !== undefined) return { program: MILLRACE_FFMPEG, why: 'set by MILLRACE_FFMPEG' };
  const first = onPath(NAME, searchPath).find(isProgram);
  if (first !== undefined) return { program: first, why: 'the first on PATH' };
  const embedded = embeddedFfmpeg(MILLRACE_VENV);
  if (isProgram(embedded)) return { program: embedded, why: 'the embedded one: there is none on PATH' };
  return { program: NAME, why: `none is on PATH, nor at ${embedded}, where \`millrace up\` installs one` };
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
