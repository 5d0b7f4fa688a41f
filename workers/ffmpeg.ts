import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { onPath } from '../runtime/search-path.js';
import type { Settings } from './settings.js';

/** The ffmpeg that a process uses. */
export interface ChosenFfmpeg {
  /** A path, or a name on PATH. */
  readonly program: string;
  /** Why it was chosen, for display. */
  readonly why: string;
}

const NAME = 'ffmpeg';

/** The program and why it was chosen, for display. */
export const describeFfmpeg = ({ program, why }: ChosenFfmpeg): string => `${program}: ${why}`;

/** Path of the ffmpeg installed with the embedded servers. */
export const embeddedFfmpeg = (venv: string): string => path.join(venv, 'bin', NAME);

/**
 * The ffmpeg of `MILLRACE_FFMPEG`, else the first one on PATH, else that of the embedded servers' packages. If there is none,
 * the program is the bare name, and using it fails with an error that it cannot be started.
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
  return { program: NAME, why: `none on PATH, nor at ${embedded}, where \`millrace up\` installs one` };
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
