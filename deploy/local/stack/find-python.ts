import { existsSync } from 'node:fs';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { invalidSetting } from '../../../pipelines/invalid-setting.js';
import { onPath } from '../../../runtime/search-path.js';
import { runCommand } from './command.js';

/** An interpreter that can run the embedded servers. */
export interface Python {
  readonly executable: string;
  /** major.minor, as Triton's stubs are named. */
  readonly version: string;
  /** Folder of the shared libpython: Triton's stub is linked to it. */
  readonly libraryFolder: string;
}

/**
 * numpy below 2 has no wheel for 3.13, and Triton's Python backend aborts with numpy 2. 3.11 has been tested longest.
 */
const VERSIONS = ['3.12', '3.11', '3.10'];
const namesOf = (versions: readonly string[]): string[] => [
  ...versions.map((version) => `python${version}`),
  'python3',
];
/** `3.10, 3.11 or 3.12`. */
const listed = (versions: readonly string[]): string =>
  versions
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1');

/** Prints the interpreter's properties. A shared libpython is not always where sysconfig says (relocated builds). */
const QUESTION = `
import json, os, sys, sysconfig as s
names = [n for n in (s.get_config_var("INSTSONAME"), s.get_config_var("LDLIBRARY")) if n and ".so" in n]
places = [p for p in (s.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")) if p]
found = [p for p in places for n in names if os.path.exists(os.path.join(p, n))]
try:
    import ensurepip, venv
    venvs = True
except ImportError:
    venvs = False
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "libraryFolder": found[0] if found else None, "venvs": venvs,
                  "bits": 64 if sys.maxsize > 2**32 else 32}))
`;

const answer = z.object({
  version: z.string(),
  libraryFolder: z.string().nullable(),
  venvs: z.boolean(),
  bits: z.number(),
});

export type Examined = { readonly python: Python } | { readonly unfit: string };

export interface ExamineOptions {
  /** Whether the interpreter must be able to create a venv; not required of one inside an existing venv. */
  readonly venvs: boolean;
  /** Accepted versions, major.minor. Default: those of the embedded servers. */
  readonly versions?: readonly string[] | undefined;
}

/** Checks whether an interpreter is suitable; if not, the reason as text. */
export async function examine(executable: string, options: ExamineOptions): Promise<Examined> {
  const result = await runCommand(executable, ['-I', '-c', QUESTION], { timeoutMs: 20_000 });
  if (result.code !== 0) return { unfit: 'does not run' };
  let parsed: z.output<typeof answer>;
  try {
    parsed = answer.parse(JSON.parse(result.stdout));
  } catch {
    return { unfit: 'is not a Python interpreter' };
  }
  const { version, libraryFolder, venvs, bits } = parsed;
  const { versions = VERSIONS } = options;
  if (!versions.includes(version)) return { unfit: `is Python ${version}; ${listed(versions)} is required` };
  if (bits !== 64) return { unfit: 'is a 32-bit build' };
  if (!libraryFolder) return { unfit: 'has no shared libpython, which Triton needs' };
  if (options.venvs && !venvs) return { unfit: 'lacks the venv module (on Debian: the package python3-venv)' };
  return { python: { executable, version, libraryFolder } };
}

/** How to create the venv. */
export type PythonSource =
  | { readonly kind: 'python'; readonly python: Python }
  /** uv installs an interpreter if there is none. */
  | { readonly kind: 'uv'; readonly uv: string };

export interface Wanted {
  /** Value of MILLRACE_PYTHON; if set, no other interpreter is tried. */
  readonly explicit?: string | undefined;
  readonly searchPath: string | undefined;
  /** Accepted versions, major.minor, the preferred one first. Default: those of the embedded servers. */
  readonly versions?: readonly string[] | undefined;
}

/** The first suitable interpreter: the setting, else from PATH (newest version first), else uv. */
export async function findPython({ explicit, searchPath, versions = VERSIONS }: Wanted): Promise<PythonSource> {
  const fits = { venvs: true, versions };
  if (explicit !== undefined) {
    const executable = existsSync(explicit) ? explicit : (onPath(explicit, searchPath)[0] ?? explicit);
    const examined = await examine(executable, fits);
    if ('python' in examined) return { kind: 'python', python: examined.python };
    throw invalidSetting('MILLRACE_PYTHON', `${explicit} ${examined.unfit}`);
  }
  const refused: string[] = [];
  for (const executable of namesOf(versions).flatMap((name) => onPath(name, searchPath))) {
    const examined = await examine(executable, fits);
    if ('python' in examined) return { kind: 'python', python: examined.python };
    refused.push(`${executable} ${examined.unfit}`);
  }
  const uv = onPath('uv', searchPath)[0];
  if (uv) return { kind: 'uv', uv };
  const tried = refused.length > 0 ? ` Found, but unsuitable: ${refused.join('; ')}.` : '';
  throw new MillraceError(
    'STACK_UNSUPPORTED',
    `The servers’ packages need Python ${listed(versions)} with a shared libpython and the venv module, or uv.${tried} ` +
      'Install one, or set MILLRACE_PYTHON to it.',
  );
}
